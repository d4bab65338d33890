"""Scenes made of Gaussian splats. ``src`` is an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .node import SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import SplatProperties

__all__ = ["LumaSplats", "SparkSplats", "Splat", "VuerSplat"]


class Splat(SceneElement):
    """Splats, as three.js' companion library drei draws them."""

    tag = "Splat"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[SplatProperties]) -> None: ...


class LumaSplats(SceneElement):
    """Splats from Luma."""

    tag = "Splats"


class SparkSplats(SceneElement):
    """Splats, drawn by Spark."""

    tag = "SparkSplats"


class VuerSplat(SceneElement):
    """Splats, drawn by Vuer itself."""

    tag = "VuerSplat"
