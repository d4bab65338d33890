"""The server by the name that `vuer.base` has for it."""

from __future__ import annotations

from .server import Vuer as Server

__all__ = ["Server"]
