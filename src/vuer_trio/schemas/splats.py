"""Scenes made of Gaussian splats. ``src`` is an address."""

from __future__ import annotations

from .node import SceneElement

__all__ = ["LumaSplats", "SparkSplats", "Splat", "VuerSplat"]


class Splat(SceneElement):
    """Splats, as three.js' companion library drei draws them."""

    tag = "Splat"


class LumaSplats(SceneElement):
    """Splats from Luma."""

    tag = "Splats"


class SparkSplats(SceneElement):
    """Splats, drawn by Spark."""

    tag = "SparkSplats"


class VuerSplat(SceneElement):
    """Splats, drawn by Vuer itself."""

    tag = "VuerSplat"
