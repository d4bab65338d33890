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
from ._link.policy import Fifo
from ._link.sender import Permit
from .client import VuerClient, open_vuer_client
from .info import get_client_info
from .statistics import Statistics

__all__ = [
    "CallTimeout",
    "ClientClosed",
    "ConnectionClosed",
    "ConnectionFailed",
    "EncodeError",
    "Fifo",
    "InboxEmpty",
    "InboxFull",
    "OutboxFull",
    "Permit",
    "ProtocolError",
    "RecvTimeout",
    "Stale",
    "Statistics",
    "VuerClient",
    "VuerError",
    "get_client_info",
    "open_vuer_client",
]
