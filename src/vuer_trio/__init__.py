"""A Trio-native, structured-concurrency client and server for Vuer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from ._link.backoff import Backoff
from ._link.changes import Connected, Disconnected
from ._link.policy import Discard, DropOldest, Fifo, Latest
from ._link.sender import Permit
from .client import VuerClient, open_vuer_client
from .freshness import Lease
from .info import get_client_info
from .statistics import Statistics

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
