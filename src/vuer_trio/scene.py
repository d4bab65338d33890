"""The scene, as the browser's page keeps it.

It follows the page, including its oddities. Only a new node with the key ``root``, which would
freeze the page, has no effect here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from ._scene_tree import ABSENT, SLOTS, Node, TooDeep, Tree, copied, identity, named, walk_dict
from .codec import make_encoder
from .events import Event

__all__ = ["Scene"]

_ROOT = "root"  # a new node with this key freezes the page


class Scene:
    """A scene graph that events change: SET, ADD, UPDATE, UPSERT and REMOVE.

    The root has a ``tag``, ``up`` (the axis that points up) and four slots for nodes:
    ``children``, ``rawChildren``, ``bgChildren`` and ``htmlChildren``. A node is a map, found by
    its ``key``: the first one that has it, depth first, the slots in that order. All nodes may
    have slots; there the order is ``children``, ``bgChildren``, ``htmlChildren``, ``rawChildren``.

    It owns its data: what goes in is copied, and what comes out is a copy. Not thread safe.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start from nothing, as after a reload of the page."""
        self._tree = Tree({"tag": "Scene", "up": [0, 1, 0], **{slot: [] for slot in SLOTS}})

    def apply(self, event: Event | Mapping[str, Any]) -> bool:
        """Do what the page does with an event, or with a decoded map. Returns whether it changed.

        - SET overwrites what it names. Slots that it omits keep their nodes.
        - ADD appends each node to the root, to the slot or to the node that ``to`` names.
        - UPDATE overwrites the properties that a node is given; values are replaced whole.
        - UPSERT does so if a node has the key, in the slot or under the node that ``to`` names;
          else it appends. Without a key it finds the root, and overwrites it; so does UPDATE.
        - REMOVE takes away one node for each key, siblings first, and then all empty groups.

        Other events are ignored. Malformed nodes have no effect: a node that is not a map, whose
        key is not a string or number, or that holds itself is left out; the others are applied.
        Raises only what an element's own ``_serialize`` raises, before anything is changed.
        """
        if isinstance(event, Mapping):
            etype, data = event.get("etype"), event.get("data")
        else:
            etype, data = getattr(event, "etype", None), getattr(event, "data", None)
        operation = _OPERATIONS.get(etype) if isinstance(etype, str) else None
        return operation is not None and operation(self, data)

    def get(self, key: Any) -> dict[str, Any] | None:
        """A copy of the first node with this key, with all that hangs under it; None: no node."""
        node = self._tree.find(identity(key))
        found: dict[str, Any] | None = None if node is None else _out(node)
        return found

    def __contains__(self, key: object) -> bool:
        return self._tree.find(identity(key)) is not None

    def to_dict(self) -> dict[str, Any]:
        """A copy of the root: its tag, its axis and the four slots."""
        whole = self.to_set()
        return {name: whole[name] for name in ("tag", "up", *SLOTS)}

    def to_set(self) -> dict[str, Any]:
        """The data of a SET event that makes any page equal to this scene.

        That is `to_dict`, and anything else that the root was given, ``frameloop`` for one.
        """
        whole: dict[str, Any] = _out(self._tree.root)
        return whole

    def to_html(self, path: str | PathLike[str], *, title: str = "Vuer") -> list[str]:
        """Write one HTML file that shows this scene in a browser, without a server.

        The file contains the web client, about 3 MB, but not MuJoCo. It also contains what the
        scene holds as bytes or ``data:`` URLs, but not what the scene only refers to by an address,
        such as ``http://localhost:8012/static/robot.glb``. Returns those addresses, which the file
        also prints in the browser's console.

        Blocks for a few seconds. Raises FileNotFoundError without the web client,
        which is in the package `vuer`, EncodeError for what cannot be sent, and OSError.
        """
        from ._web_client.single_file import needed_by, single_file

        nodes = list(self)
        message = make_encoder()({"etype": "SET", "ts": 0, "data": self.to_set()})
        Path(path).write_bytes(single_file(message, nodes, title))
        return needed_by(nodes)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All nodes but the root, depth first, as they are now; copies, each inside its parent's.

        Changes during the iteration do not show in it.
        """
        return walk_dict(_out(self._tree.root))

    def __repr__(self) -> str:
        return f"<Scene with {sum(1 for _ in self._tree.walk())} nodes>"

    # ---- the operations

    def _set(self, data: Any) -> bool:
        try:
            props = copied(data)
        except TooDeep:
            return False
        if not isinstance(props, dict):
            return False
        props.pop("key", None)
        return self._tree.assign(self._tree.root, props)

    def _add(self, data: Any) -> bool:
        nodes, to = _nodes(data), _to(data)
        added = False
        for props in nodes:
            if props.get("key") == _ROOT:
                continue
            parent, slot = self._place(to)
            if parent is None:
                break
            if type(parent.props.get(slot)) is not list:
                self._tree.assign(parent, {slot: []})
            self._tree.append(parent, slot, props)
            added = True
        return added

    def _place(self, to: Any) -> tuple[Node | None, str]:
        """Where ADD appends."""
        tree = self._tree
        if isinstance(to, str) and to in SLOTS and type(tree.root.props[to]) is list:
            return tree.root, to
        return tree.find(identity(to)) if named(to) else tree.root, "children"

    def _update(self, data: Any) -> bool:
        changed = False
        for props in _nodes(data):
            node = self._tree.find(identity(props.pop("key")) if "key" in props else ABSENT)
            if node is not None:
                changed |= self._tree.assign(node, props)
        return changed

    def _upsert(self, data: Any) -> bool:
        nodes, to = _nodes(data), _to(data)
        changed = False
        for props in nodes:
            if props.get("key") != _ROOT:
                changed |= self._upsert_one(props, to)
        return changed

    def _upsert_one(self, props: dict[str, Any], to: Any) -> bool:
        tree = self._tree
        wanted = identity(props["key"]) if "key" in props else ABSENT
        parent: Node | None = tree.root
        slot = "children"
        if not named(to):
            match = tree.find(wanted)
        elif isinstance(to, str) and to in SLOTS:
            slot = to
            match = tree.root if wanted is ABSENT else tree.find_under(tree.root, slot, wanted)
        else:
            parent = tree.find(identity(to))
            if parent is None:
                return False
            match = parent
            if wanted != parent.identity:
                match = tree.find_under(parent, slot, wanted)
        assert parent is not None
        if match is not None:  # it may be no node, and then takes no properties
            return isinstance(match, Node) and tree.assign(match, props)
        items = parent.props.get(slot)
        if type(items) is not list:
            if named(items):
                return False
            slot = "children"  # whatever the slot was
            tree.assign(parent, {slot: []})
        tree.append(parent, slot, props)
        return True

    def _remove(self, data: Any) -> bool:
        keys = data.get("keys") if isinstance(data, dict) else None
        if not isinstance(keys, list | tuple):
            return False
        changed = False
        for key in keys:
            changed |= self._tree.remove(identity(key))
        return self._tree.prune() or changed


_OPERATIONS: dict[str, Callable[[Scene, Any], bool]] = {
    "SET": Scene._set,
    "ADD": Scene._add,
    "UPDATE": Scene._update,
    "UPSERT": Scene._upsert,
    "REMOVE": Scene._remove,
}


def _nodes(data: Any) -> list[dict[str, Any]]:
    """Copies of the nodes in an event's data, those that make sense."""
    nodes = data.get("nodes") if isinstance(data, dict) else None
    found = []
    for node in nodes if isinstance(nodes, list | tuple) else ():
        try:
            props = copied(node)
        except TooDeep:
            continue
        if type(props) is dict and ("key" not in props or identity(props["key"]) is not None):
            found.append(props)
    return found


def _to(data: Any) -> Any:
    return data.get("to") if isinstance(data, dict) else None


def _out(node: Node) -> Any:
    return copied(node, float("inf"))
