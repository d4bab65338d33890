"""Shapes that a few numbers describe: ``args`` are those of three.js' geometry of that name.

Lengths are in metres, angles in radians; the last ones in ``args`` may be omitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .node import SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import ShapeProperties

__all__ = [
    "Box",
    "Capsule",
    "Circle",
    "Cone",
    "Cylinder",
    "Dodecahedron",
    "Edges",
    "Extrude",
    "Icosahedron",
    "Lathe",
    "Octahedron",
    "Plane",
    "Polyhedron",
    "Ring",
    "Shape",
    "Sphere",
    "Tetrahedron",
    "Torus",
    "TorusKnot",
    "Tube",
    "Wireframe",
]


class _Solid(SceneElement):
    """The shapes whose properties have types."""

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[ShapeProperties]) -> None: ...


class Box(_Solid):
    """A box. ``args``: width, height, depth."""

    tag = "Box"


class Capsule(_Solid):
    """A cylinder with round ends. ``args``: radius, length of the straight part."""

    tag = "Capsule"


class Circle(_Solid):
    """A flat disc. ``args``: radius, segments, first angle, angle."""

    tag = "Circle"


class Cone(_Solid):
    """A cone. ``args``: radius, height, segments around, segments along, open at the base."""

    tag = "Cone"


class Cylinder(_Solid):
    """A cylinder. ``args``: radius at the top, radius at the bottom, height, segments around."""

    tag = "Cylinder"


class Dodecahedron(_Solid):
    """Twelve faces. ``args``: radius, how often each face is divided."""

    tag = "Dodecahedron"


class Edges(SceneElement):
    """The edges of the shape that it is a child of."""

    tag = "Edges"


class Extrude(SceneElement):
    """A flat shape with depth. ``args``: shapes, options."""

    tag = "Extrude"


class Icosahedron(_Solid):
    """Twenty faces. ``args``: radius, how often each face is divided."""

    tag = "Icosahedron"


class Lathe(SceneElement):
    """A profile turned around the y axis. ``args``: points, segments, first angle, angle."""

    tag = "Lathe"


class Octahedron(_Solid):
    """Eight faces. ``args``: radius, how often each face is divided."""

    tag = "Octahedron"


class Plane(_Solid):
    """A flat rectangle. ``args``: width, height, segments across, segments along."""

    tag = "Plane"


class Polyhedron(_Solid):
    """Arbitrary faces. ``args``: coordinates, indices, radius, how often each face is divided."""

    tag = "Polyhedron"


class Ring(_Solid):
    """A disc with a hole. ``args``: inner radius, outer radius, segments around."""

    tag = "Ring"


class Shape(SceneElement):
    """A flat shape inside an outline. ``args``: shapes, segments of a curve."""

    tag = "Shape"


class Sphere(_Solid):
    """A sphere. ``args``: radius, segments around, segments from pole to pole."""

    tag = "Sphere"


class Tetrahedron(_Solid):
    """Four faces. ``args``: radius, how often each face is divided."""

    tag = "Tetrahedron"


class Torus(_Solid):
    """A ring. ``args``: radius, radius of the tube, segments of the tube, segments around, arc."""

    tag = "Torus"


class TorusKnot(_Solid):
    """A knot. ``args``: radius, radius of the tube, segments along, segments of the tube, p, q."""

    tag = "TorusKnot"


class Tube(SceneElement):
    """A tube along a path. ``args``: path, segments along, radius, segments around, closed."""

    tag = "Tube"


class Wireframe(SceneElement):
    """The shape that it is a child of, as lines."""

    tag = "Wireframe"
