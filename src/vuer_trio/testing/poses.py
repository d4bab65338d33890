"""Events with the poses of a headset, and a script of such events.

Poses are 4x4 matrices of 16 numbers in column-major order, in metres, y up, as in WebGL.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from ..events import ClientEvent

__all__ = ["camera_move", "controller_move", "hand_move", "wave"]

Position = Sequence[float]
#: of one hand: the wrist, then four or five along each finger, as WebXR orders them
JOINTS = 25
_HAND_AT_REST = {
    **{"pinch": False, "pinchValue": 0.0},
    **{"squeeze": False, "squeezeValue": 0.0},
    **{"tap": False, "tapValue": 0.0},
}
_CONTROLLER_AT_REST = {
    **{"trigger": False, "triggerValue": 0.0},
    **{"squeeze": False, "squeezeValue": 0.0},
    **{"touchpad": False, "touchpadValue": [0.0, 0.0]},
    **{"thumbstick": False, "thumbstickValue": [0.0, 0.0]},
    **{"aButton": False, "bButton": False},
}


def at(x: float, y: float, z: float) -> list[float]:
    """The matrix of a pose at that position, without a rotation."""
    return [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, x, y, z, 1.0]


def camera_move(position: Position = (0.0, 1.6, 0.0), **camera: Any) -> ClientEvent:
    """``CAMERA_MOVE``: the position of the eyes. ``camera`` adds properties, such as ``fov``."""
    told = {
        "position": list(position),
        "rotation": [0.0, 0.0, 0.0],
        "quaternion": [0.0, 0.0, 0.0, 1.0],
        "matrix": at(*position),
        **camera,
    }
    return ClientEvent(etype="CAMERA_MOVE", key="defaultCamera", value={"camera": told})


def hand_move(
    left: Position | None = (-0.2, 1.2, -0.4),
    right: Position | None = (0.2, 1.2, -0.4),
    **gestures: Any,
) -> ClientEvent:
    """``HAND_MOVE``: the 25 joints of each hand, 16 numbers each, all at the position of the wrist.

    None is a hand that is not visible: it has no joints, and no state. ``gestures``, such as
    ``leftState={"pinch": True}``, replace a state.
    """
    value: dict[str, Any] = {}
    for side, wrist in (("left", left), ("right", right)):
        value[side] = None if wrist is None else at(*wrist) * JOINTS
        value[f"{side}State"] = _state(
            _HAND_AT_REST, wrist is not None, gestures.pop(f"{side}State", {})
        )
    return ClientEvent(etype="HAND_MOVE", key="hands", value={**value, **gestures})


def controller_move(
    left: Position | None = (-0.2, 1.2, -0.4),
    right: Position | None = (0.2, 1.2, -0.4),
    **buttons: Any,
) -> ClientEvent:
    """``CONTROLLER_MOVE``: the pose of each controller, 16 numbers, and its buttons.

    None is a missing controller: it has no pose, and no state. ``rightState={"trigger": True}``
    replaces a state.
    """
    value: dict[str, Any] = {}
    for side, place in (("left", left), ("right", right)):
        value[side] = None if place is None else at(*place)
        value[f"{side}State"] = _state(
            _CONTROLLER_AT_REST, place is not None, buttons.pop(f"{side}State", {})
        )
    return ClientEvent(etype="CONTROLLER_MOVE", key="motionControllers", value={**value, **buttons})


def _state(at_rest: dict[str, Any], seen: bool, given: dict[str, Any]) -> dict[str, Any]:
    return {**at_rest, **given} if seen else dict(given)


def wave(
    seconds: float = 1.0,
    rate: float = 60.0,
    tracking: Literal["hands", "controllers"] = "hands",
) -> Iterator[tuple[float, ClientEvent]]:
    """A script: a person looks ahead and moves the right hand in a circle, once a second.

    It has ``rate`` times a second a ``CAMERA_MOVE`` together with a ``HAND_MOVE`` or
    ``CONTROLLER_MOVE``.
    """
    move = hand_move if tracking == "hands" else controller_move
    for n in range(round(seconds * rate)):
        angle = 2 * math.pi * n / rate
        yield (1 / rate if n else 0.0), camera_move()
        yield 0.0, move(right=(0.2 + 0.1 * math.cos(angle), 1.2 + 0.1 * math.sin(angle), -0.4))
