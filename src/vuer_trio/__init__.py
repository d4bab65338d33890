"""A Trio-native, structured-concurrency client for Vuer servers."""

from __future__ import annotations

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
from .server.store import SceneStore
from .statistics import Statistics

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
    "VuerClient",
    "VuerError",
    "get_client_info",
    "open_vuer_client",
]
