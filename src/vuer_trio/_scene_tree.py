"""The tree of a scene: its nodes, and where the node of each key is.

Every search gives what a walk through the whole tree would find first. A key that one node has is
looked up; only for one that several have the tree is walked. Nothing here recurses: a scene may
be nested deeper than the interpreter goes.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from typing import Any, Final

from msgpack import ExtType, Timestamp

from .codec import plain

__all__ = ["ABSENT", "SLOTS", "Node", "TooDeep", "Tree", "copied", "identity", "named", "walk_dict"]

#: where nodes hang, in the order in which the root's are searched
SLOTS: Final = ("children", "rawChildren", "bgChildren", "htmlChildren")
#: the same for the slots of all other nodes; the page has two orders
_NESTED: Final = ("children", "bgChildren", "htmlChildren", "rawChildren")
_IS_SLOT: Final = frozenset(SLOTS)
#: slots from which the page takes empty groups away
_PRUNED: Final = ("children", "bgChildren")
#: the identity of a node without a key
ABSENT: Final = ("absent",)
#: levels of a value; no message can hold more than half as many
_DEPTH = 2048

_EXACT = frozenset((str, bool, int, float, type(None), bytes))
_WHOLE = (str, bool, int, float, bytes, ExtType, Timestamp)


class TooDeep(ValueError):
    """A value is nested deeper than any message can be, or holds itself."""


def identity(key: Any) -> Hashable | None:
    """What the keys have in common that JavaScript takes for the same; None: no key is like it."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool):
        return ("is", key)
    if isinstance(key, int | float) and key == key:
        return ("number", key)
    return None


def named(to: Any) -> bool:
    """Whether JavaScript takes a value for true."""
    return not (to is None or (isinstance(to, bool | int | float | str) and (not to or to != to)))


class Node:
    """One node: its properties, and where it hangs. In a slot's list its children are nodes too."""

    __slots__ = ("parent", "props", "slot")

    def __init__(self, props: dict[str, Any], parent: Node | None, slot: str) -> None:
        self.props = props
        self.parent = parent
        self.slot = slot

    @property
    def identity(self) -> Hashable | None:
        return identity(self.props["key"]) if "key" in self.props else ABSENT

    @property
    def is_group(self) -> bool:
        tag = self.props.get("tag")
        return isinstance(tag, str) and tag.lower() == "group"

    @property
    def holds_nothing(self) -> bool:
        children = self.props.get("children")
        return not isinstance(children, list) or not children

    def items(self, slot: str) -> list[Any]:
        """What hangs in a slot: nodes, and anything else a peer has put there, as text."""
        items = self.props.get(slot)
        return items if type(items) is list else []


def copied(value: Any, depth: float = _DEPTH) -> Any:
    """A copy that shares nothing that can be changed, of dicts, lists and plain values.

    Elements, arrays and nodes become dicts and lists; what has no plain form stays. Raises
    TooDeep, and what an element's own ``_serialize`` raises.
    """
    if type(value) in _EXACT:
        return value
    top = [value]
    pending: list[tuple[Any, int]] = [(top, 0)]
    while pending:
        container, level = pending.pop()
        if level > depth:
            raise TooDeep(f"nested deeper than {depth} levels, or holds itself")
        if type(container) is list and _EXACT.issuperset(map(type, container)):
            continue  # numbers, mostly
        for key, item in enumerate(container) if type(container) is list else container.items():
            if type(item) in _EXACT:
                continue
            container[key] = fresh = _shallow(item)
            if type(fresh) is dict or type(fresh) is list:
                pending.append((fresh, level + 1))
    return top[0]


def _shallow(item: Any) -> Any:
    if isinstance(item, dict):
        return dict(item)
    if isinstance(item, Node):
        return dict(item.props)
    if isinstance(item, _WHOLE):  # before tuples: an ExtType is one
        return item
    if isinstance(item, list | tuple):
        return list(item)
    if isinstance(item, bytearray | memoryview):
        return bytes(item)
    try:
        return plain(item)
    except RecursionError as error:
        raise TooDeep(str(error)) from None


def _same(old: Any, new: Any) -> bool:
    """Whether a value is replaced by one like it. ``old`` may hold nodes."""
    pending = [(old, new)]
    while pending:
        old, new = pending.pop()
        if isinstance(old, Node):
            old = old.props
        kind = type(old)
        if kind is not type(new):
            return False
        if kind is dict:
            if old.keys() != new.keys():
                return False
            pending.extend((item, new[key]) for key, item in old.items())
        elif kind is list:
            if len(old) != len(new):
                return False
            pending.extend(zip(old, new, strict=True))
        elif not (old is new or (kind in _EXACT and old == new)):
            return False
    return True


class Tree:
    """``root`` and everything below it. Its methods own what they are given."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = Node(root, None, "")
        self._known: dict[Hashable, set[Node]] = {}
        self._groups: set[Node] = set()

    # ---- searching

    def find(self, wanted: Hashable | None) -> Node | None:
        """The first node of an identity; the root is the first without a key."""
        if wanted is ABSENT:
            return self.root
        found = self._known.get(wanted, ())
        if len(found) > 1:
            return next(node for node in self.walk() if node in found)
        return next(iter(found), None)

    def find_under(self, top: Node, slot: str, wanted: Hashable | None) -> Any:
        """The first item of an identity in a slot of ``top`` or deeper.

        Looked for without a key, it may be an item that is no node.
        """
        found: Collection[Node] = ()
        if wanted is not ABSENT:
            found = self._known.get(wanted, ())
            if len(found) < 2:
                return next((node for node in found if _hangs_under(node, top, slot)), None)
        for item in _items_under(top, (slot,)):
            if isinstance(item, Node):
                if item.identity is ABSENT if wanted is ABSENT else item in found:
                    return item
            elif wanted is ABSENT and item is not None:
                return item
        return None

    def walk(self) -> Iterator[Node]:
        """All nodes but the root, depth first."""
        return (item for item in _items_under(self.root, SLOTS) if isinstance(item, Node))

    def _find_beside(self, wanted: Hashable | None) -> Node | None:
        """What the page removes: siblings are looked at before what hangs under any of them."""
        found = self._known.get(wanted, ())
        if len(found) < 2:
            return next(iter(found), None)
        pending = [(self.root, slot) for slot in reversed(SLOTS)]
        while pending:
            node, slot = pending.pop()
            items = [item for item in node.items(slot) if isinstance(item, Node)]
            for item in items:
                if item in found:
                    return item
            pending += [(item, slot) for item in reversed(items) for slot in reversed(SLOTS)]
        raise AssertionError("a node is known, and not in the tree")

    # ---- changing

    def assign(self, node: Node, props: dict[str, Any]) -> bool:
        """Overwrite properties, one by one. Returns whether any has changed."""
        own = node.props
        changed = False
        for name, value in props.items():
            if name in own and _same(own[name], value):
                continue
            changed = True
            if name in _IS_SLOT:
                for item in node.items(name):
                    self._forget(item)
                own[name] = value
                self._grow(node, name)
            else:
                own[name] = value
        if changed and "tag" in props and node is not self.root:
            (self._groups.add if node.is_group else self._groups.discard)(node)
        return changed

    def append(self, parent: Node, slot: str, props: dict[str, Any]) -> None:
        """Hang a new node at the end of a slot, which holds a list."""
        node = Node(props, parent, slot)
        parent.props[slot].append(node)
        self._know(node)

    def remove(self, wanted: Hashable | None) -> bool:
        """Take away one node of an identity. Returns whether there was one."""
        node = self._find_beside(wanted)
        if node is not None:
            self._cut(node)
        return node is not None

    def prune(self) -> bool:
        """Take away groups that hold nothing, wherever the page does. Returns whether any was."""
        if not any(node.holds_nothing for node in self._groups):
            return False
        lists = []  # those of a node before those of the nodes in it
        pending = [(self.root, slot) for slot in _PRUNED]
        while pending:
            parent, slot = pending.pop()
            items = parent.items(slot)
            # The page does not look into a list that begins with text.
            if items and not isinstance(items[0], str):
                lists.append(items)
                pending += [(item, "children") for item in items if isinstance(item, Node)]
        any_was = False
        for items in reversed(lists):
            gone = {n for n in items if isinstance(n, Node) and n.is_group and n.holds_nothing}
            if gone:
                any_was = True
                items[:] = [n for n in items if not (isinstance(n, Node) and n in gone)]
                for node in gone:
                    self._forget(node)
        return any_was

    # ---- inside

    def _cut(self, node: Node) -> None:
        assert node.parent is not None
        node.parent.items(node.slot).remove(node)  # nodes are equal to themselves only
        self._forget(node)

    def _grow(self, parent: Node, slot: str) -> None:
        """Make nodes of the maps in a slot."""
        items = parent.items(slot)
        for n, item in enumerate(items):
            if type(item) is dict:
                items[n] = Node(item, parent, slot)
                self._know(items[n])

    def _know(self, node: Node) -> None:
        """Make nodes of what hangs under a new node, and remember all of them."""
        pending = [node]
        while pending:
            node = pending.pop()
            wanted = node.identity
            if wanted is not None:
                self._known.setdefault(wanted, set()).add(node)
            if node.is_group:
                self._groups.add(node)
            if _IS_SLOT.isdisjoint(node.props):
                continue
            for slot in SLOTS:
                items = node.items(slot)
                for n, item in enumerate(items):
                    if type(item) is dict:
                        items[n] = Node(item, node, slot)
                        pending.append(items[n])

    def _forget(self, item: Any) -> None:
        pending = [item]
        while pending:
            node = pending.pop()
            if not isinstance(node, Node):
                continue
            wanted = node.identity
            if wanted is not None:
                same = self._known[wanted]
                same.discard(node)
                if not same:
                    del self._known[wanted]
            self._groups.discard(node)
            if not _IS_SLOT.isdisjoint(node.props):
                for slot in SLOTS:
                    pending += node.items(slot)


def walk_dict(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """As `Tree.walk`, for a copy of a root."""
    pending: list[Any] = [root]
    slots = SLOTS
    while pending:
        item = pending.pop()
        if type(item) is not dict:
            continue
        if item is not root:
            yield item
        for slot in reversed(slots):
            items = item.get(slot)
            if type(items) is list:
                pending += reversed(items)
        slots = _NESTED


def _items_under(top: Node, slots: tuple[str, ...]) -> Iterator[Any]:
    pending = [item for slot in reversed(slots) for item in reversed(top.items(slot))]
    while pending:
        item = pending.pop()
        yield item
        if isinstance(item, Node) and not _IS_SLOT.isdisjoint(item.props):
            pending += [i for slot in reversed(_NESTED) for i in reversed(item.items(slot))]


def _hangs_under(node: Node, top: Node, slot: str) -> bool:
    while node.parent is not None:
        if node.parent is top:
            return node.slot == slot
        node = node.parent
    return False
