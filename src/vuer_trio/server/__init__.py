"""The server's side."""

from __future__ import annotations

from .store import SceneStore

__all__ = ["SceneStore"]
