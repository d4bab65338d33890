"""The elements that `vuer.schemas.physics_components` has: simulation."""

from __future__ import annotations

from . import (
    HandActuator,
    MjCameraView,
    MotionControllerActuator,
    MuJoCo,
    MuJoCoProvider,
    SceneElement,
)

__all__ = [
    "HandActuator",
    "MjCameraView",
    "MotionControllerActuator",
    "MuJoCo",
    "MuJoCoProvider",
    "SceneElement",
]
