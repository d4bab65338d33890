"""``BODY_MOVE``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ._fields import value_of
from ._hands import Hand, read_hand
from ._joints import Joints
from ._matrices import read_poses

if TYPE_CHECKING:
    from .._event import Event

__all__ = ["BODY_JOINTS", "Body", "BodyMove", "body"]

_ARM = ("shoulder", "scapula", "arm-upper", "arm-lower", "hand-wrist-twist")
_LEG = (
    *("upper-leg", "lower-leg", "foot-ankle-twist", "foot-ankle"),
    *("foot-subtalar", "foot-transverse", "foot-ball"),
)

#: the 33 joints of a body, as WebXR Body Tracking names them, in the order of the web client
BODY_JOINTS: tuple[str, ...] = (
    *("hips", "spine-lower", "spine-middle", "spine-upper", "chest", "neck", "head"),
    *(f"left-{joint}" for joint in _ARM),
    *(f"right-{joint}" for joint in _ARM),
    *("left-hand-palm", "right-hand-palm"),
    *(f"left-{joint}" for joint in _LEG),
    *(f"right-{joint}" for joint in _LEG),
)


class Body(Joints):
    """A body: ``matrices`` is (33, 4, 4), in the order of `BODY_JOINTS`.

    A joint that was never tracked is not ``valid``. One that was tracked keeps its last pose.
    """

    __slots__ = ()

    names: ClassVar[tuple[str, ...]] = BODY_JOINTS


class BodyMove:
    """The whole body, as one event has it.

    What is not tracked is all zeros on the wire, and None here. That is so for the hands, too,
    unless the ``Body`` element asks for them with ``leftHand=True`` and ``rightHand=True``. They
    have the joints of `HAND_JOINTS`, which Body Tracking calls ``left-hand-index-tip`` and so on,
    and no gestures.
    """

    __slots__ = ("body", "key", "left_hand", "right_hand", "ts")

    body: Body | None
    left_hand: Hand | None
    right_hand: Hand | None
    #: of the ``Body`` element
    key: str | None
    #: seconds since the epoch, by the clock of the headset
    ts: float

    def __init__(self, event: Event) -> None:
        value = value_of(event, "body", "BODY_MOVE")
        matrices = read_poses(value.get("body"), len(BODY_JOINTS), "value.body")
        self.body = None if matrices is None or not matrices.any() else Body(matrices)
        self.left_hand = read_hand("left", value, "leftHand")
        self.right_hand = read_hand("right", value, "rightHand")
        self.key = getattr(event, "key", None)
        self.ts = event.ts

    def __repr__(self) -> str:
        parts = {"body": self.body, "left hand": self.left_hand, "right hand": self.right_hand}
        return f"<BodyMove: {', '.join(n for n, x in parts.items() if x is not None) or 'none'}>"


def body(event: Event) -> BodyMove:
    """The body, and the hands, of a ``BODY_MOVE``."""
    return BodyMove(event)
