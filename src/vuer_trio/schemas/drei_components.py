"""The elements that `vuer.schemas.drei_components` has: controls, cameras and lines."""

from __future__ import annotations

from . import (
    CatmullRomLine,
    CubicBezierLine,
    Facemesh,
    FisheyeCamera,
    Html,
    Line,
    OrbitControls,
    OrthographicCamera,
    PerspectiveCamera,
    QuadraticBezierLine,
    SceneElement,
    SimpleOrthographicCamera,
    SimplePerspectiveCamera,
    Splat,
)

__all__ = [
    "CatmullRomLine",
    "CubicBezierLine",
    "Facemesh",
    "FisheyeCamera",
    "Html",
    "Line",
    "OrbitControls",
    "OrthographicCamera",
    "PerspectiveCamera",
    "QuadraticBezierLine",
    "SceneElement",
    "SimpleOrthographicCamera",
    "SimplePerspectiveCamera",
    "Splat",
]
