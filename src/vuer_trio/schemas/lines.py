"""Lines through space. ``lineWidth`` is in pixels; ``vertexColors`` has a colour for each point."""

from __future__ import annotations

from .node import SceneElement

__all__ = ["CatmullRomLine", "CubicBezierLine", "Line", "QuadraticBezierLine"]


class Line(SceneElement):
    """Straight from each of ``points`` to the next; with ``segments`` from pair to pair."""

    tag = "Line"


class QuadraticBezierLine(SceneElement):
    """A curve from ``start`` to ``end``, drawn towards ``mid``."""

    tag = "QuadraticBezierLine"


class CubicBezierLine(SceneElement):
    """A curve from ``start`` to ``end``, drawn towards ``midA`` and ``midB``."""

    tag = "CubicBezierLine"


class CatmullRomLine(SceneElement):
    """A smooth curve through all ``points``; ``closed`` joins the last to the first."""

    tag = "CatmullRomLine"
