"""Lights and shadows. ``intensity`` is a factor; with ``helper`` the light itself is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .node import SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import LightProperties

__all__ = [
    "AccumulativeShadows",
    "AmbientLight",
    "AmbientLightStage",
    "DirectionalLight",
    "HemisphereLight",
    "HemisphereLightStage",
    "PointLight",
    "RandomizedLight",
    "RectAreaLight",
    "SpotLight",
    "Stage",
]


class _Light(SceneElement):
    """The lights whose properties have types."""

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[LightProperties]) -> None: ...


class AmbientLight(_Light):
    """The same light from all sides."""

    tag = "AmbientLight"


class DirectionalLight(_Light):
    """Parallel light, as from the sun."""

    tag = "DirectionalLight"


class HemisphereLight(_Light):
    """``skyColor`` from above and ``groundColor`` from below."""

    tag = "HemisphereLight"


class PointLight(_Light):
    """Light from a point to all sides."""

    tag = "PointLight"


class RectAreaLight(_Light):
    """Light from a rectangle, ``width`` by ``height``, towards ``lookAt``."""

    tag = "RectAreaLight"


class SpotLight(_Light):
    """A cone of light: half its ``angle`` in radians, ``penumbra`` from 0 to 1."""

    tag = "SpotLight"


class RandomizedLight(SceneElement):
    """``amount`` lights that move a little each frame, for soft shadows."""

    tag = "RandomizedLight"


class AccumulativeShadows(SceneElement):
    """A floor that collects soft shadows over ``frames`` frames; its children are the lights."""

    tag = "AccumulativeShadows"


class Stage(SceneElement):
    """A stage for its children: lights and shadow, ready made."""

    tag = "Stage"


class AmbientLightStage(SceneElement):
    """Lighting for the whole scene, from all sides."""

    tag = "AmbientLightStage"


class HemisphereLightStage(SceneElement):
    """Lighting for the whole scene, from sky and ground; part of the default scene."""

    tag = "HemisphereLightStage"
