"""The client by the name that `vuer.client` has for it."""

from __future__ import annotations

from ._client.client import VuerClient
from ._client.info import get_client_info
from .events import ClientEvent

__all__ = ["ClientEvent", "VuerClient", "get_client_info"]
