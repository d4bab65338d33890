"""What surfaces look like: three.js' materials, under their own names.

A material is a child of a mesh or a property of a shape; it has no children itself.
"""

from __future__ import annotations

from .element import Element

__all__ = [
    "LineBasicMaterial",
    "LineDashedMaterial",
    "Material",
    "MeshBasicMaterial",
    "MeshDepthMaterial",
    "MeshDistanceMaterial",
    "MeshLambertMaterial",
    "MeshMatcapMaterial",
    "MeshNormalMaterial",
    "MeshPhongMaterial",
    "MeshPhysicalMaterial",
    "MeshStandardMaterial",
    "MeshToonMaterial",
    "PointsMaterial",
    "RawShaderMaterial",
    "ShaderMaterial",
    "ShadowMaterial",
    "SpriteMaterial",
]


class LineBasicMaterial(Element):
    """A line of one colour."""

    tag = "lineBasicMaterial"


class LineDashedMaterial(Element):
    """A line of dashes: ``dashSize`` and ``gapSize``."""

    tag = "lineDashedMaterial"


class Material(Element):
    """What all materials have in common."""

    tag = "material"


class MeshBasicMaterial(Element):
    """One colour, whatever the light."""

    tag = "meshBasicMaterial"


class MeshDepthMaterial(Element):
    """Near is white, far is black."""

    tag = "meshDepthMaterial"


class MeshDistanceMaterial(Element):
    """The distance to a point, for the shadows of a point light."""

    tag = "meshDistanceMaterial"


class MeshLambertMaterial(Element):
    """Matt, with light computed per vertex."""

    tag = "meshLambertMaterial"


class MeshMatcapMaterial(Element):
    """Light and colour from a picture of a sphere."""

    tag = "meshMatcapMaterial"


class MeshNormalMaterial(Element):
    """The colour shows which way a face points."""

    tag = "meshNormalMaterial"


class MeshPhongMaterial(Element):
    """Glossy, with light computed per pixel."""

    tag = "meshPhongMaterial"


class MeshPhysicalMaterial(Element):
    """As the standard one, with clear coat, sheen and glass."""

    tag = "meshPhysicalMaterial"


class MeshStandardMaterial(Element):
    """Physically based: ``roughness`` and ``metalness`` are from 0 to 1."""

    tag = "meshStandardMaterial"


class MeshToonMaterial(Element):
    """Few steps of light, as in cartoons."""

    tag = "meshToonMaterial"


class PointsMaterial(Element):
    """Points of one ``size``."""

    tag = "pointsMaterial"


class RawShaderMaterial(Element):
    """Your own shaders, with nothing prepended."""

    tag = "rawShaderMaterial"


class ShaderMaterial(Element):
    """Your own shaders."""

    tag = "shaderMaterial"


class ShadowMaterial(Element):
    """Transparent, except for the shadows on it."""

    tag = "shadowMaterial"


class SpriteMaterial(Element):
    """A picture that always faces the camera."""

    tag = "spriteMaterial"
