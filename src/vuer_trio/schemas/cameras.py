"""Cameras, what they see, and pictures of cameras.

Angles of view (``fov``) are vertical and in degrees, ``near`` and ``far`` distances. The camera
with ``makeDefault`` is the one looked through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .node import SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import (
        CameraProperties,
        CameraViewProperties,
        FrustumProperties,
        PlaneProperties,
    )

__all__ = [
    "CameraHelper",
    "CameraPreviewOverlay",
    "CameraPreviewThumbs",
    "CameraView",
    "FisheyeCamera",
    "FisheyeFrustum",
    "Frustum",
    "GrabRender",
    "HUDPlane",
    "OrthographicCamera",
    "OrthographicFrustum",
    "PerspectiveCamera",
    "PerspectiveFrustum",
    "SceneCamera",
    "SimpleOrthographicCamera",
    "SimplePerspectiveCamera",
    "ViewportHud",
]


class PerspectiveCamera(SceneElement):
    """A camera for which distant things look small."""

    tag = "PerspectiveCamera"
    key = "perspective-camera"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[CameraProperties]) -> None: ...


class OrthographicCamera(SceneElement):
    """A camera without perspective; its borders are ``left``, ``right``, ``top`` and ``bottom``."""

    tag = "OrthographicCamera"
    key = "orthographic-camera"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[CameraProperties]) -> None: ...


class SimplePerspectiveCamera(SceneElement):
    """A perspective camera with nothing drawn around it, as for a :class:`ViewportHud`."""

    tag = "SimplePerspectiveCamera"


class SimpleOrthographicCamera(SceneElement):
    """An orthographic camera with nothing drawn around it, as for a :class:`ViewportHud`."""

    tag = "SimpleOrthographicCamera"


class FisheyeCamera(SceneElement):
    """A camera with a very wide angle."""

    tag = "FisheyeCamera"
    key = "fisheye-camera"


class SceneCamera(SceneElement):
    """The camera through which the scene is seen; part of the default scene."""

    tag = "SceneCamera"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[CameraProperties]) -> None: ...


class CameraView(SceneElement):
    """A camera that renders on its own, ``width`` by ``height`` pixels.

    With ``stream``, its pictures are sent as events, at most ``fps`` a second.
    """

    tag = "CameraView"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(
            self, /, *nodes: Child | None, **props: Unpack[CameraViewProperties]
        ) -> None: ...


class GrabRender(SceneElement):
    """Answers a server that asks for the picture on the screen."""

    tag = "GrabRender"
    key = "DEFAULT"


class Frustum(SceneElement):
    """The space that a camera sees, drawn as lines."""

    tag = "Frustum"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[FrustumProperties]) -> None: ...


class PerspectiveFrustum(SceneElement):
    """The space that a perspective camera sees."""

    tag = "PerspectiveFrustum"


class OrthographicFrustum(SceneElement):
    """The space that an orthographic camera sees."""

    tag = "OrthographicFrustum"


class FisheyeFrustum(SceneElement):
    """The space that a fisheye camera sees."""

    tag = "FisheyeFrustum"


class CameraHelper(SceneElement):
    """three.js' drawing of a camera."""

    tag = "CameraHelper"


class CameraPreviewThumbs(SceneElement):
    """Small pictures of what the cameras see; part of the default scene."""

    tag = "CameraPreviewThumbs"


class CameraPreviewOverlay(SceneElement):
    """The chosen camera's picture over the view; part of the default scene."""

    tag = "CameraPreviewOverlay"


class ViewportHud(SceneElement):
    """A part of the view in which its children are drawn over the rest, with their own camera."""

    tag = "ViewportHud"


class HUDPlane(SceneElement):
    """A rectangle that stays in front of the camera, at ``distanceToCamera``."""

    tag = "HUDPlane"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[PlaneProperties]) -> None: ...
