"""A Trio-native, structured-concurrency client and server for Vuer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._client.client import VuerClient, open_vuer_client
from ._client.freshness import Lease
from ._client.info import get_client_info
from ._connection.backoff import Backoff
from ._connection.link_changes import Connected, Disconnected
from ._connection.policies import Discard, DropOldest, Fifo, Latest
from ._connection.sender import Permit
from ._connection.statistics import Statistics
from ._errors import (
    CallTimeout,
    ClientClosed,
    ConnectionClosed,
    ConnectionFailed,
    EncodeError,
    InboxEmpty,
    InboxFull,
    OutboxFull,
    ProtocolError,
    RecvTimeout,
    Stale,
    VuerError,
)

if TYPE_CHECKING:
    from .server import SceneStore, Vuer, VuerSession, open_vuer_server

__all__ = [
    "Backoff",
    "CallTimeout",
    "ClientClosed",
    "Connected",
    "ConnectionClosed",
    "ConnectionFailed",
    "Discard",
    "Disconnected",
    "DropOldest",
    "EncodeError",
    "Fifo",
    "InboxEmpty",
    "InboxFull",
    "Latest",
    "Lease",
    "OutboxFull",
    "Permit",
    "ProtocolError",
    "RecvTimeout",
    "SceneStore",
    "Stale",
    "Statistics",
    "Vuer",
    "VuerClient",
    "VuerError",
    "VuerSession",
    "get_client_info",
    "open_vuer_client",
    "open_vuer_server",
]

_OF_THE_SERVER = ("SceneStore", "Vuer", "VuerSession", "open_vuer_server")


def __getattr__(name: str) -> Any:
    """The server is imported when it is used: a client does not pay for it."""
    if name in _OF_THE_SERVER:
        from . import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
