"""Roomz: the documented chat client, on Trio and asyncio.

    async with AsyncClient("http://localhost:8000", token) as client:
        client.on("message", print)
        await client.send("Hello!")

Needs the extra ``roomz``: ``pip install 'vuer-trio[roomz]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import AsyncClient, open_roomz_client
from .errors import AuthenticationError, ClientError, ConnectionError
from .events import ConnectionState, EventHandler, RoomzEvent

if TYPE_CHECKING:
    from .sync_client import SyncClient

__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "ClientError",
    "ConnectionError",
    "ConnectionState",
    "EventHandler",
    "RoomzEvent",
    "SyncClient",
    "open_roomz_client",
]


def __getattr__(name: str) -> Any:
    """Import `SyncClient` on first use, because it needs anyio."""
    if name == "SyncClient":
        from .sync_client import SyncClient

        return SyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
