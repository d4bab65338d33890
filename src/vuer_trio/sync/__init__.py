"""Vuer for notebooks and scripts without async and await: a blocking client and a blocking server.

Each runs on Trio, in a thread of its own, behind a portal. It can be called from any thread, and
from several at once. Its thread is a daemon, and does not keep a program alive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import BlockingSender, BlockingVuerClient
from .lease import BlockingLease
from .portal import Portal, call_in_thread

if TYPE_CHECKING:
    from .server import BlockingVuerServer, Snapshot, Viewer

    open_vuer_server = BlockingVuerServer

__all__ = [
    "BlockingLease",
    "BlockingSender",
    "BlockingVuerClient",
    "BlockingVuerServer",
    "Portal",
    "Snapshot",
    "Viewer",
    "call_in_thread",
    "open_vuer_client",
    "open_vuer_server",
]

#: ``with open_vuer_client(uri, ...) as client``: the client is its own context manager
open_vuer_client = BlockingVuerClient


def __getattr__(name: str) -> Any:
    """A program that is a client does not load the server."""
    if name in ("BlockingVuerServer", "Snapshot", "Viewer", "open_vuer_server"):
        from . import server

        return getattr(server, "BlockingVuerServer" if name == "open_vuer_server" else name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
