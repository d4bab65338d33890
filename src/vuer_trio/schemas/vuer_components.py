"""The elements that `vuer.schemas.vuer_components` has: what comes from elsewhere."""

from __future__ import annotations

from . import (
    ContribLoader,
    SceneElement,
)

__all__ = [
    "ContribLoader",
    "SceneElement",
]
