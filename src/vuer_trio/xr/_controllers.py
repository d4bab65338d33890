"""``CONTROLLER_MOVE``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from .._errors import ProtocolError
from .._formatting import must_be
from ._fields import flag, number, pair, state_of, value_of
from ._matrices import Floats, read_pose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._event import Event

__all__ = ["Controller", "ControllerMove", "controllers"]


class Controller:
    """One controller. Whatever the event does not contain is None.

    The buttons are those of the WebXR gamepad mapping ``xr-standard``, by their places.
    """

    __slots__ = (
        *("a_button", "b_button", "matrix", "side", "squeeze", "squeeze_value", "thumbstick"),
        *("thumbstick_value", "touchpad", "touchpad_value", "trigger", "trigger_value"),
    )

    #: whose it is
    side: Literal["left", "right"]
    #: (4, 4), metres: the ray that it points with, along -z; not the grip
    matrix: Floats
    #: whether each is pressed: buttons 0, 1 and 3
    trigger: bool | None
    squeeze: bool | None
    thumbstick: bool | None
    #: whether each is pressed: buttons 4 and 5, which are X and Y on a left controller
    a_button: bool | None
    b_button: bool | None
    #: ``"pressed"``, ``"touched"`` or False: button 2
    touchpad: Literal["pressed", "touched", False] | None
    #: how far it is pressed, from 0 to 1
    trigger_value: float | None
    squeeze_value: float | None
    #: x and y, from -1 to 1; y is positive towards the person
    touchpad_value: tuple[float, float] | None
    thumbstick_value: tuple[float, float] | None

    def __init__(
        self, side: Literal["left", "right"], matrix: Floats, state: Mapping[str, Any], where: str
    ) -> None:
        self.side = side
        self.matrix = matrix
        self.trigger = flag(state, "trigger", where)
        self.squeeze = flag(state, "squeeze", where)
        self.thumbstick = flag(state, "thumbstick", where)
        self.a_button = flag(state, "aButton", where)
        self.b_button = flag(state, "bButton", where)
        self.touchpad = _touchpad(state, where)
        self.trigger_value = number(state, "triggerValue", where)
        self.squeeze_value = number(state, "squeezeValue", where)
        self.touchpad_value = pair(state, "touchpadValue", where)
        self.thumbstick_value = pair(state, "thumbstickValue", where)

    @property
    def position(self) -> Floats:
        """(3,), metres."""
        return self.matrix[:3, 3]

    @property
    def rotation(self) -> Floats:
        """(3, 3)."""
        return self.matrix[:3, :3]

    def __repr__(self) -> str:
        return f"<Controller: {self.side}>"


class ControllerMove:
    """Both controllers, as one event has them.

    A controller that is not tracked is None: on the wire its matrix is ``undefined`` and its state
    is empty. The web client reports only what the ``MotionControllers`` element asks for, with
    ``left=True`` and ``right=True``.
    """

    __slots__ = ("key", "left", "right", "ts")

    left: Controller | None
    right: Controller | None
    #: of the ``MotionControllers`` element
    key: str | None
    #: seconds since the epoch, by the clock of the headset
    ts: float

    def __init__(self, event: Event) -> None:
        value = value_of(event, "controllers", "CONTROLLER_MOVE")
        self.left = _controller("left", value)
        self.right = _controller("right", value)
        self.key = getattr(event, "key", None)
        self.ts = event.ts

    def __repr__(self) -> str:
        sides = [c.side for c in (self.left, self.right) if c is not None]
        return f"<ControllerMove: {' and '.join(sides) or 'none'}>"


def controllers(event: Event) -> ControllerMove:
    """Both controllers of a ``CONTROLLER_MOVE``."""
    return ControllerMove(event)


def _controller(side: Literal["left", "right"], value: Mapping[str, Any]) -> Controller | None:
    matrix = read_pose(value.get(side), f"value.{side}")
    state = state_of(value, f"{side}State")
    return None if matrix is None else Controller(side, matrix, state, f"value.{side}State")


def _touchpad(state: Mapping[str, Any], where: str) -> Literal["pressed", "touched", False] | None:
    value = state.get("touchpad")
    if value is None or value is False or value == "pressed" or value == "touched":
        return value
    raise ProtocolError(must_be(f"{where}.touchpad", "'pressed', 'touched' or False", value))
