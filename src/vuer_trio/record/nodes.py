"""Where the nodes of a recorded scene are, as the events of its server change it.

A frame has a rotation and a position, but no scale: the scale of a node, and whether it mirrors,
shows only in the positions of the nodes below it. Poses are therefore computed from world matrices,
and expressed in the frame of the nearest node above that has one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._errors import ProtocolError
from .._scene_tree import Node, identity
from ..scene import Scene
from .poses import POSE_FIELDS, Kind, matrix_of, poses_of

if TYPE_CHECKING:
    from .poses import Floats

__all__ = ["ROOT_FRAME", "NodePose", "ScenePoses"]

#: the frame of the scene, and of WebXR
ROOT_FRAME = "vuer"
#: the slots whose nodes are in the scene
_SLOTS = ("children", "rawChildren", "bgChildren")
_NO_POSITION, _NO_QUATERNION = (math.nan,) * 3, (math.nan,) * 4
#: metres, and parts of a quaternion: what comes of computing with a parent's matrix
_NOISE = 1e-9
_CHANGES = frozenset(("SET", "ADD", "UPDATE", "UPSERT", "REMOVE"))


@dataclass(frozen=True, slots=True)
class NodePose:
    """A node's pose in the frame of its ``parent``."""

    key: str
    frame: str
    parent: str
    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Above:
    """What is above a node: its world matrix, and the nearest frame with its own."""

    world: Floats
    frame: str
    rigid: Floats


class ScenePoses:
    """Follows a scene; `apply` gives the nodes whose poses have changed.

    A node has a frame if it has a key, and one of the properties that say where it is or nodes
    below it. If several nodes have the same key, the frame is that of the first one that the page
    finds.
    """

    def __init__(self) -> None:
        self.scene: Scene = Scene()
        #: nodes whose properties are malformed so far
        self.malformed: int = 0
        self._last: dict[str, NodePose] = {}

    @property
    def z_is_up(self) -> bool:
        """Whether the scene says that its z axis points up. By default, y does."""
        up = self.scene._tree.root.props.get("up")
        return isinstance(up, list) and len(up) == 3 and [bool(x) for x in up] == [0, 0, 1]

    def apply(self, event: Mapping[str, Any]) -> list[NodePose]:
        """Apply an event to the scene. Returns the poses that have changed."""
        etype = event.get("etype")
        if etype not in _CHANGES or not self.scene.apply(event):
            return []
        changed = self._changed(etype, event.get("data"))
        new: list[NodePose] = []
        for node, above in changed:
            for pose in self._below(node, above):
                if not _same(self._last.get(pose.frame), pose):
                    self._last[pose.frame] = pose
                    new.append(pose)
        return new

    def _changed(self, etype: Any, data: Any) -> Iterator[tuple[Node, _Above]]:
        """The nodes that an event may have moved, none of them under another."""
        import numpy as np

        origin = _Above(np.eye(4), ROOT_FRAME, np.eye(4))
        root = self.scene._tree.root
        nodes = data.get("nodes") if isinstance(data, Mapping) else None
        if etype not in ("UPDATE", "UPSERT") or not isinstance(nodes, list | tuple):
            for slot in _SLOTS:
                for item in root.items(slot):
                    if isinstance(item, Node):
                        yield item, origin
            return
        found: dict[int, Node] = {}
        for props in nodes:
            if isinstance(props, Mapping) and "key" in props:
                node = self.scene._tree.find(identity(props["key"]))
                if node is not None and node is not root:
                    found[id(node)] = node
        for node in found.values():
            chain = _chain(node)
            if any(id(parent) in found for parent in chain[:-1]):
                continue
            if chain[0].slot not in _SLOTS:
                continue
            above = origin
            for parent in chain[:-1]:
                above, _ = self._at(parent, above)
            yield node, above

    def _below(self, top: Node, above: _Above) -> Iterator[NodePose]:
        """The poses of a node and of all that hangs under it."""
        pending = [(top, above)]
        while pending:
            node, above = pending.pop()
            inner, pose = self._at(node, above)
            if pose is not None:
                yield pose
            for slot in reversed(_SLOTS):
                pending += [(n, inner) for n in reversed(node.items(slot)) if isinstance(n, Node)]

    def _at(self, node: Node, above: _Above) -> tuple[_Above, NodePose | None]:
        import numpy as np

        props = node.props
        if POSE_FIELDS.isdisjoint(props) and not any(map(node.items, _SLOTS)):
            return above, None
        try:
            with np.errstate(all="ignore"):
                world = above.world @ matrix_of(props)
        except ProtocolError:
            self.malformed += 1
            return above, None
        key = _key_of(node)
        if key is None or self.scene._tree.find(node.identity) is not node:
            return _Above(world, above.frame, above.rigid), None
        frame = f"scene/{key}"
        kind, rigid = _rigid(world)
        if kind is Kind.NONE:
            nowhere = NodePose(key, frame, above.frame, _NO_POSITION, _NO_QUATERNION, kind)
            return _Above(world, above.frame, above.rigid), nowhere
        local = poses_of((_inverse(above.rigid) @ rigid)[None])
        x, y, z = local.positions[0].tolist()
        qx, qy, qz, qw = local.quaternions[0].tolist()
        pose = NodePose(key, frame, above.frame, (x, y, z), (qx, qy, qz, qw), kind)
        return _Above(world, frame, rigid), pose


def _same(old: NodePose | None, new: NodePose) -> bool:
    """Whether a node has not moved in the frame of its parent, but for rounding."""
    if old is None or (old.parent, old.kind) != (new.parent, new.kind):
        return False
    numbers = zip(old.position + old.quaternion, new.position + new.quaternion, strict=True)
    return new.kind is Kind.NONE or all(math.isclose(a, b, abs_tol=_NOISE) for a, b in numbers)


def _chain(node: Node) -> list[Node]:
    """The nodes from below the root down to this one."""
    chain = [node]
    while node.parent is not None and node.parent.parent is not None:
        node = node.parent
        chain.append(node)
    return chain[::-1]


def _key_of(node: Node) -> str | None:
    key = node.props.get("key")
    if isinstance(key, str):
        return key
    if isinstance(key, int | float) and not isinstance(key, bool):
        return str(key)
    return None


def _rigid(world: Floats) -> tuple[Kind, Floats]:
    """The kind of a matrix, and what is rigid of it."""
    from ..frame import to_mat

    poses = poses_of(world[None])
    if poses.kinds[0] is Kind.NONE:
        return Kind.NONE, world
    rigid: Floats = to_mat(poses.positions[0], poses.quaternions[0])
    return poses.kinds[0], rigid


def _inverse(rigid: Floats) -> Floats:
    import numpy as np

    inverse: Floats = np.eye(4)
    inverse[:3, :3] = rigid[:3, :3].T
    inverse[:3, 3] = -rigid[:3, :3].T @ rigid[:3, 3]
    return inverse
