"""Videos. ``src`` is the address of a video, ``stream`` names a WebRTC stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .images import Picture
from .node import SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import VideoProperties

__all__ = [
    "StereoVideoPlane",
    "VideoMaterial",
    "VideoPlane",
    "WebRTCStereoVideoPlane",
    "WebRTCVideoMaterial",
    "WebRTCVideoPlane",
]


class VideoMaterial(Picture):
    """A video as the surface of a shape."""

    tag = "VideoMaterial"


class VideoPlane(Picture):
    """A video on a plane that faces the camera."""

    tag = "VideoPlane"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, **props: Unpack[VideoProperties]) -> None: ...


class StereoVideoPlane(Picture):
    """A video with one half for each eye; ``layout`` says which half is for which."""

    tag = "StereoVideoPlane"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, **props: Unpack[VideoProperties]) -> None: ...


class WebRTCVideoMaterial(Picture):
    """A WebRTC stream as the surface of a shape."""

    tag = "WebRTCVideoMaterial"


class WebRTCVideoPlane(SceneElement):
    """A WebRTC stream on a plane that faces the camera."""

    tag = "WebRTCVideoPlane"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[VideoProperties]) -> None: ...


class WebRTCStereoVideoPlane(SceneElement):
    """A WebRTC stream with one half for each eye."""

    tag = "WebRTCStereoVideoPlane"
