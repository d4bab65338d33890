"""Markers: frames, arrows, bounding boxes, grippers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from .node import Color, SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import MarkerProperties

__all__ = [
    "Arrow",
    "BBox",
    "BoundingBox",
    "BoundingBoxProvider",
    "CoordsMarker",
    "Gripper",
    "SkeletalGripper",
]


class CoordsMarker(SceneElement):
    """A coordinate frame: x in red, y in green, z in blue."""

    tag = "CoordsMarker"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[MarkerProperties]) -> None: ...


class Arrow(SceneElement):
    """One arrow, along ``direction``."""

    tag = "Arrow"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[MarkerProperties]) -> None: ...


class Gripper(SceneElement):
    """A gripper with two parallel jaws, ``pinchWidth`` apart."""

    tag = "Gripper"


class SkeletalGripper(SceneElement):
    """The same as lines."""

    tag = "SkeletalGripper"


class BBox(SceneElement):
    """The edges of a box from the corner ``min`` to the corner ``max``, two maps of x, y, z.

    By default from -1 to 1. ``scale`` is a little over 1, so that the box encloses what it bounds.
    """

    tag = "BBox"

    def __init__(
        self,
        min: Mapping[str, float] | None = None,
        max: Mapping[str, float] | None = None,
        color: Color = "0xffffff",
        scale: float = 1.01,
        **props: Any,
    ) -> None:
        if min is None:
            min = {"x": -1, "y": -1, "z": -1}
        if max is None:
            max = {"x": 1, "y": 1, "z": 1}
        super().__init__(min=min, max=max, color=color, scale=scale, **props)


class BoundingBox(SceneElement):
    """A box around something; many of them are drawn at once by their provider."""

    tag = "BoundingBox"


class BoundingBoxProvider(SceneElement):
    """Draws all the :class:`BoundingBox` nodes that it holds."""

    tag = "BoundingBoxProvider"
