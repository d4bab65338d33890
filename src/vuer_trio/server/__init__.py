"""The Vuer server: sessions as nurseries."""

from __future__ import annotations

from .app import Vuer, open_vuer_server
from .session import VuerSession
from .store import SceneStore

__all__ = ["SceneStore", "Vuer", "VuerSession", "open_vuer_server"]
