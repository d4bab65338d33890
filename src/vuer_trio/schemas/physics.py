"""MuJoCo in the browser.

Class attributes show the defaults; only properties that are given are sent.
"""

from __future__ import annotations

from .node import SceneElement

__all__ = ["HandActuator", "MjCameraView", "MotionControllerActuator", "MuJoCo", "MuJoCoProvider"]


class MuJoCoProvider(SceneElement):
    """Holds the simulation that its children work with."""

    tag = "MuJoCoProvider"


class MuJoCo(SceneElement):
    """A model and its simulation.

    ``src`` is the address of the model, ``assets`` those of the files that it needs, relative to
    ``workDir``. ``timeout`` is in seconds.
    """

    tag = "MuJoCo"
    workDir: str | None = None
    assets: tuple[str, ...] = ()
    speed: float = 1.0
    pause = False
    fps = 60
    timeout: float = 0.0
    threshold: float = 0.001
    keyFrames: tuple[str, ...] = ()
    selfProvide = True
    useLights = True
    useMocap = True
    gizmoScale: float = 0.3
    unpauseOnDrag = False
    dragForceScale: float = 1.0
    showDragArrow = True
    showDragForceText = True


class HandActuator(SceneElement):
    """Moves the actuator ``ctrlId`` between ``low`` and ``high`` with the distance of two joints.

    ``value`` names the two joints, ``cond`` the gesture during which they count.
    """

    tag = "HandActuator"
    ctrlId = -1
    offset: float = 0.01
    low: float = 0.01
    high: float = 1.0
    cond = "right-squeeze"
    value = "right:thumb-tip,right:index-finger-tip"
    scale: float = 1.0


class MotionControllerActuator(SceneElement):
    """Moves the actuator ``ctrlId`` between ``low`` and ``high`` with the button ``cond``."""

    tag = "MotionControllerActuator"
    ctrlId = -1
    low: float = 0.0
    high: float = 1.0
    cond = "right-trigger"
    scale: float = 1.0


class MjCameraView(SceneElement):
    """A camera of the simulation, which renders on its own."""

    tag = "MjCameraView"
    movable = True
    showCameraFrustum = True
