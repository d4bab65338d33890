"""Lines through space. ``lineWidth`` is in pixels; ``vertexColors`` has a colour for each point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .node import SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import LineProperties

__all__ = ["CatmullRomLine", "CubicBezierLine", "Line", "QuadraticBezierLine"]


class Line(SceneElement):
    """Straight lines through ``points``; with ``segments``, one for each pair of points."""

    tag = "Line"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[LineProperties]) -> None: ...


class QuadraticBezierLine(SceneElement):
    """A curve from ``start`` to ``end``, drawn towards ``mid``."""

    tag = "QuadraticBezierLine"


class CubicBezierLine(SceneElement):
    """A curve from ``start`` to ``end``, drawn towards ``midA`` and ``midB``."""

    tag = "CubicBezierLine"


class CatmullRomLine(SceneElement):
    """A smooth curve through all ``points``; ``closed`` joins the last to the first."""

    tag = "CatmullRomLine"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[LineProperties]) -> None: ...
