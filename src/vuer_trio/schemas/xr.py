"""People in the scene: hands, controllers, body, face, and the room around them.

With ``stream``, what a headset tracks is sent as events, ``fps`` of them a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from .node import Color, SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import ControllerProperties, HandsProperties

__all__ = ["Body", "Facemesh", "Hands", "Head", "MotionControllers", "WebXRMesh"]


class Hands(SceneElement):
    """Both hands' joints, as ``HAND_MOVE`` events; part of the default scene.

    A hand that is disabled is not tracked; one that is hidden is only not drawn.
    """

    tag = "Hands"
    key = "hands"
    stream = True
    disableLeft = False
    disableRight = False
    hideLeft = False
    hideRight = False

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[HandsProperties]) -> None: ...


class MotionControllers(SceneElement):
    """Both controllers' poses and buttons, as events.

    ``eventTypes`` are the buttons that are reported when pressed. ``left`` and ``right`` say
    which controller is tracked.
    """

    tag = "MotionControllers"

    def __init__(
        self,
        key: str | None = "motionControllers",
        eventTypes: Sequence[str] = ("trigger", "squeeze"),
        stream: bool = True,
        left: bool | None = None,
        right: bool | None = None,
        **props: Unpack[ControllerProperties],
    ) -> None:
        super().__init__(
            key=key, eventTypes=eventTypes, stream=stream, left=left, right=right, **props
        )


class Body(SceneElement):
    """The joints of the whole body, optionally with the hands, as ``BODY_MOVE`` events."""

    tag = "Body"
    key = "body_tracking"
    stream = True
    leftHand = False
    rightHand = False
    fps = 30
    showBody = True
    showFrame = True
    frameScale: float = 0.02


class Head(SceneElement):
    """Where the head is and where it looks, as ``HEAD_MOVE`` events."""

    tag = "Head"
    key = "head_tracking"
    stream = True
    fps = 30
    show = False
    frameScale: float = 0.05


class Facemesh(SceneElement):
    """A face through the ``points`` that MediaPipe finds, 468 or more."""

    tag = "Facemesh"


class WebXRMesh(SceneElement):
    """The surfaces of the room that a headset has found; ``get_webxr_mesh`` asks for them."""

    tag = "WebXRMesh"

    def __init__(
        self,
        key: str | None = "webxr-mesh",
        color: Color | None = None,
        opacity: float = 0.15,
        autoUpdate: bool = True,
        **props: Any,
    ) -> None:
        super().__init__(key=key, color=color, opacity=opacity, autoUpdate=autoUpdate, **props)
