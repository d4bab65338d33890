"""What a headset says of where things are, and a script of it.

Poses are 4x4 matrices of 16 numbers, column after column, in metres, y up, as WebGL has them.
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
_HAND_GESTURES = ("pinch", "squeeze", "tap")
_BUTTONS = ("trigger", "squeeze")


def at(x: float, y: float, z: float) -> list[float]:
    """The matrix of a pose there, turned nowhere."""
    return [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, x, y, z, 1.0]


def camera_move(position: Position = (0.0, 1.6, 0.0), **camera: Any) -> ClientEvent:
    """``CAMERA_MOVE``: where the eyes are. ``camera`` has more of its properties, ``fov`` say."""
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
    """``HAND_MOVE``: the 25 joints of each hand, 16 numbers each, all where its wrist is.

    None is a hand that is not seen. ``gestures``, ``leftState={"pinch": True}``, replace a state.
    """
    value: dict[str, Any] = {}
    for side, wrist in (("left", left), ("right", right)):
        if wrist is not None:
            value[side] = at(*wrist) * JOINTS
        value[f"{side}State"] = _state(_HAND_GESTURES, gestures.pop(f"{side}State", {}))
    return ClientEvent(etype="HAND_MOVE", key="hands", value={**value, **gestures})


def controller_move(
    left: Position | None = (-0.2, 1.2, -0.4),
    right: Position | None = (0.2, 1.2, -0.4),
    **buttons: Any,
) -> ClientEvent:
    """``CONTROLLER_MOVE``: the pose of each controller, 16 numbers, and its buttons.

    None is a controller that is not there; ``rightState={"trigger": True}`` replaces a state.
    """
    value: dict[str, Any] = {}
    for side, place in (("left", left), ("right", right)):
        if place is not None:
            value[side] = at(*place)
        value[f"{side}State"] = _state(_BUTTONS, buttons.pop(f"{side}State", {}))
    return ClientEvent(etype="CONTROLLER_MOVE", key="motionControllers", value={**value, **buttons})


def _state(names: Sequence[str], given: dict[str, Any]) -> dict[str, Any]:
    quiet = dict.fromkeys(names, False) | {f"{name}Value": 0.0 for name in names}
    return {**quiet, **given}


def wave(
    seconds: float = 1.0,
    rate: float = 60.0,
    tracking: Literal["hands", "controllers"] = "hands",
) -> Iterator[tuple[float, ClientEvent]]:
    """A script: somebody looks ahead and moves the right hand in a circle, once a second.

    ``rate`` times a second comes a ``CAMERA_MOVE`` and, with it, a ``HAND_MOVE`` or
    ``CONTROLLER_MOVE``.
    """
    move = hand_move if tracking == "hands" else controller_move
    for n in range(round(seconds * rate)):
        angle = 2 * math.pi * n / rate
        yield (1 / rate if n else 0.0), camera_move()
        yield 0.0, move(right=(0.2 + 0.1 * math.cos(angle), 1.2 + 0.1 * math.sin(angle), -0.4))
