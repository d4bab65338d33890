"""Poses in a client's event: of the head, cameras, hands, controllers and the body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..events import ClientEvent, canonical
from .poses import POSE_FIELDS, matrix_of

if TYPE_CHECKING:
    from .poses import Floats

__all__ = ["MOVES", "Seen", "seen_in"]

#: the types of events that have poses, and the names in their value that stand for these
MOVES: dict[str, frozenset[str]] = {
    "HAND_MOVE": frozenset(("left", "right")),
    "CONTROLLER_MOVE": frozenset(("left", "right")),
    "BODY_MOVE": frozenset(("body", "leftHand", "rightHand")),
    "HEAD_MOVE": frozenset(("matrix", "camera.matrix")),
    "CAMERA_MOVE": frozenset(("matrix", "camera.matrix")),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """Poses of one source: ``matrices`` is (n, 4, 4), for the n ``frames``."""

    source: str
    frames: tuple[str, ...]
    matrices: Floats


def seen_in(event: ClientEvent) -> Iterator[Seen]:
    """Yield the sources in an event. Raises ProtocolError for a malformed value.

    A source is ``head``, ``camera/KEY``, ``left-hand``, ``right-hand``, ``left-controller``,
    ``right-controller``, ``body``, ``body-left-hand`` or ``body-right-hand``. The frames of hands
    and bodies are those of their joints: ``left-hand/wrist``.
    """
    from .. import xr

    match canonical(event.etype):
        case "HAND_MOVE":
            both = xr.hands(event)
            for hand in (both.left, both.right):
                if hand is not None:
                    yield _joints(f"{hand.side}-hand", hand)
        case "CONTROLLER_MOVE":
            move = xr.controllers(event)
            for controller in (move.left, move.right):
                if controller is not None:
                    yield _one(f"{controller.side}-controller", controller.matrix)
        case "BODY_MOVE":
            whole = xr.body(event)
            for source, part in (
                ("body", whole.body),
                ("body-left-hand", whole.left_hand),
                ("body-right-hand", whole.right_hand),
            ):
                if part is not None:
                    yield _joints(source, part)
        case "HEAD_MOVE":
            matrix = xr.head(event).matrix
            if matrix is not None:
                yield _one("head", matrix)
        case "CAMERA_MOVE":
            key = getattr(event, "key", None)
            matrix = xr.head(event).matrix
            camera = _camera(event)
            if matrix is None and not POSE_FIELDS.isdisjoint(camera):
                matrix = matrix_of({name: camera[name] for name in camera if name != "matrix"})
            if matrix is not None:
                yield _one(f"camera/{key if isinstance(key, str) else ''}".rstrip("/"), matrix)


def _camera(event: ClientEvent) -> Mapping[str, Any]:
    value = event.value if isinstance(event.value, Mapping) else {}
    camera = value.get("camera", value)
    return camera if isinstance(camera, Mapping) else {}


def _one(name: str, matrix: Any) -> Seen:
    return Seen(name, (name,), matrix[None])


def _joints(source: str, joints: Any) -> Seen:
    return Seen(source, tuple(f"{source}/{name}" for name in joints.names), joints.matrices)
