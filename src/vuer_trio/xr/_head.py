"""``HEAD_MOVE`` and ``CAMERA_MOVE``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._fields import state_of, value_of
from ._matrices import Floats, read_pose

if TYPE_CHECKING:
    from .._event import Event

__all__ = ["HeadMove", "head"]


class HeadMove:
    """Where the head is, and where it looks: along -z of its matrix.

    A ``HEAD_MOVE`` is the pose of the viewer in a WebXR session, and all zeros before the first
    one. A ``CAMERA_MOVE`` is the camera of a page that streams it, outside of WebXR, or one that
    was moved in the scene: its axes are the same, its frame is that of the scene.
    """

    __slots__ = ("key", "matrix", "ts")

    #: (4, 4), metres; None before the headset knows
    matrix: Floats | None
    #: of the ``Head`` element or the camera
    key: str | None
    #: seconds since the epoch: by the clock of the headset, or of receipt for a ``CAMERA_MOVE``,
    #: which has none
    ts: float

    def __init__(self, event: Event) -> None:
        value = value_of(event, "head", "HEAD_MOVE", "CAMERA_MOVE")
        camera = state_of(value, "camera")
        if "matrix" in camera:
            self.matrix = read_pose(camera["matrix"], "value.camera.matrix")
        else:
            self.matrix = read_pose(value.get("matrix"), "value.matrix")
        self.key = getattr(event, "key", None)
        self.ts = event.ts

    @property
    def position(self) -> Floats | None:
        """(3,), metres."""
        return None if self.matrix is None else self.matrix[:3, 3]

    @property
    def rotation(self) -> Floats | None:
        """(3, 3)."""
        return None if self.matrix is None else self.matrix[:3, :3]

    def __repr__(self) -> str:
        return f"<HeadMove: {'unknown' if self.matrix is None else 'known'}>"


def head(event: Event) -> HeadMove:
    """The pose in a ``HEAD_MOVE`` or ``CAMERA_MOVE``."""
    return HeadMove(event)
