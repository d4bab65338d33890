"""A Trio-native, structured-concurrency client and server for Vuer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._client.client import VuerClient, open_vuer_client
from ._client.info import get_client_info
from ._client.options import Headers, WebsocketsOptions
from ._client.threadsafe import ThreadsafeClient, ThreadsafeSender
from ._connection.backoff import Backoff
from ._connection.freshness import Lease
from ._connection.link_changes import Connected, Disconnected
from ._connection.observers import Observer
from ._connection.policies import Discard, DropOldest, Fifo, Latest, Policy
from ._connection.sender import Permit, Sender
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
    TaskCancelled,
    VuerError,
)
from ._transport_name import TransportName

if TYPE_CHECKING:
    from ._async_types import AsyncEvent, CancelScope, Nursery, TaskStatus
    from ._connection.trio_channels import ReceiveEnd, SendEnd
    from .server import (
        Request,
        SceneStore,
        SessionTask,
        Vuer,
        VuerServer,
        VuerSession,
        open_vuer_server,
    )
    from .webrtc import WebRTCStream
    from .workspace import Blob, Workspace

#: as in `pyproject.toml`; to ask for that of the installed package would slow the import
__version__ = "0.1.0"

__all__ = [
    "AsyncEvent",
    "Backoff",
    "Blob",
    "CallTimeout",
    "CancelScope",
    "ClientClosed",
    "Connected",
    "ConnectionClosed",
    "ConnectionFailed",
    "Discard",
    "Disconnected",
    "DropOldest",
    "EncodeError",
    "Fifo",
    "Headers",
    "InboxEmpty",
    "InboxFull",
    "Latest",
    "Lease",
    "Nursery",
    "Observer",
    "OutboxFull",
    "Permit",
    "Policy",
    "ProtocolError",
    "ReceiveEnd",
    "RecvTimeout",
    "Request",
    "SceneStore",
    "SendEnd",
    "Sender",
    "SessionTask",
    "Stale",
    "Statistics",
    "TaskCancelled",
    "TaskStatus",
    "ThreadsafeClient",
    "ThreadsafeSender",
    "TransportName",
    "Vuer",
    "VuerClient",
    "VuerError",
    "VuerServer",
    "VuerSession",
    "WebRTCStream",
    "WebsocketsOptions",
    "Workspace",
    "get_client_info",
    "open_vuer_client",
    "open_vuer_server",
]

#: names that are imported when they are used: a client does not pay for the server
_LAZY = {
    "._async_types": ("AsyncEvent", "CancelScope", "Nursery", "TaskStatus"),
    "._connection.trio_channels": ("ReceiveEnd", "SendEnd"),
    ".server": (
        *("Request", "SceneStore", "SessionTask", "Vuer", "VuerServer", "VuerSession"),
        "open_vuer_server",
    ),
    ".webrtc": ("WebRTCStream",),
    ".workspace": ("Blob", "Workspace"),
}


def __getattr__(name: str) -> Any:
    for module, names in _LAZY.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(module, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
