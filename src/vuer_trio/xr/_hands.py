"""``HAND_MOVE``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from ._fields import flag, number, state_of, value_of
from ._joints import Joints
from ._matrices import Floats, read_poses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._event import Event

__all__ = ["HAND_JOINTS", "Hand", "HandMove", "hands", "read_hand"]

Side: TypeAlias = Literal["left", "right"]

_BONES = ("metacarpal", "phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
_FINGERS = ("index-finger", "middle-finger", "ring-finger", "pinky-finger")

#: the 25 joints of a hand, as WebXR Hand Input names and orders them
HAND_JOINTS: tuple[str, ...] = (
    "wrist",
    *(f"thumb-{bone}" for bone in _BONES if bone != "phalanx-intermediate"),
    *(f"{finger}-{bone}" for finger in _FINGERS for bone in _BONES),
)


class Hand(Joints):
    """One hand: ``matrices`` is (25, 4, 4), in the order of `HAND_JOINTS`.

    The web client derives the gestures from the joints. Each is None if the event does not contain
    it, as in a ``BODY_MOVE``.
    """

    __slots__ = ("pinch", "pinch_value", "side", "squeeze", "squeeze_value", "tap", "tap_value")

    names: ClassVar[tuple[str, ...]] = HAND_JOINTS

    #: whose it is
    side: Side
    #: whether the tips of thumb and index finger are less than 1 cm apart
    pinch: bool | None
    #: metres between the tips of thumb and index finger: small when pinched
    pinch_value: float | None
    #: whether the tip of the middle finger is less than 7 cm from its proximal phalanx
    squeeze: bool | None
    #: metres between the tip of the middle finger and its proximal phalanx: small in a fist
    squeeze_value: float | None
    #: the same as ``pinch``
    tap: bool | None
    #: the same as ``pinch_value``
    tap_value: float | None

    def __init__(self, side: Side, matrices: Floats, state: Mapping[str, Any], where: str) -> None:
        super().__init__(matrices)
        self.side = side
        self.pinch = flag(state, "pinch", where)
        self.squeeze = flag(state, "squeeze", where)
        self.tap = flag(state, "tap", where)
        self.pinch_value = number(state, "pinchValue", where)
        self.squeeze_value = number(state, "squeezeValue", where)
        self.tap_value = number(state, "tapValue", where)

    @property
    def wrist(self) -> Floats:
        """The (4, 4) matrix of the wrist. ``inv(hand.wrist) @ hand.matrices`` are all joints
        relative to it."""
        return self.joint("wrist")

    def __repr__(self) -> str:
        return f"<Hand: {self.side}>"


class HandMove:
    """Both hands, as one event has them.

    A hand that the headset does not see is None: on the wire, its matrices are ``undefined`` and
    its state is empty. The state of a hand that the ``Hands`` element disables is left out.
    """

    __slots__ = ("key", "left", "right", "ts")

    left: Hand | None
    right: Hand | None
    #: of the ``Hands`` element
    key: str | None
    #: seconds since the epoch, by the clock of the headset
    ts: float

    def __init__(self, event: Event) -> None:
        value = value_of(event, "hands", "HAND_MOVE")
        self.left = read_hand("left", value, "left")
        self.right = read_hand("right", value, "right")
        self.key = getattr(event, "key", None)
        self.ts = event.ts

    def __repr__(self) -> str:
        return f"<HandMove: {_sides(self.left, self.right)}>"


def hands(event: Event) -> HandMove:
    """Both hands of a ``HAND_MOVE``."""
    return HandMove(event)


def read_hand(side: Side, value: Mapping[str, Any], name: str) -> Hand | None:
    """The hand under a name; None if there is none, or all its numbers are 0. Raises
    ProtocolError."""
    matrices = read_poses(value.get(name), len(HAND_JOINTS), f"value.{name}")
    state = state_of(value, f"{name}State")
    if matrices is None or not matrices.any():
        return None
    return Hand(side, matrices, state, f"value.{name}State")


def _sides(left: object, right: object) -> str:
    return " and ".join(n for n, x in (("left", left), ("right", right)) if x is not None) or "none"
