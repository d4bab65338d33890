"""Lights and shadows. ``intensity`` is a factor; with ``helper`` the light itself is drawn."""

from __future__ import annotations

from .node import SceneElement

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


class AmbientLight(SceneElement):
    """The same light from all sides."""

    tag = "AmbientLight"


class DirectionalLight(SceneElement):
    """Parallel light, as from the sun."""

    tag = "DirectionalLight"


class HemisphereLight(SceneElement):
    """``skyColor`` from above and ``groundColor`` from below."""

    tag = "HemisphereLight"


class PointLight(SceneElement):
    """Light from a point to all sides."""

    tag = "PointLight"


class RectAreaLight(SceneElement):
    """Light from a rectangle, ``width`` by ``height``, towards ``lookAt``."""

    tag = "RectAreaLight"


class SpotLight(SceneElement):
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
