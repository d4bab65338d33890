"""What the two async libraries do differently for a byte stream, and which one does it."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from .._runtime import Runtime
from .byte_stream import ByteStream

__all__ = ["NetBackend", "net_backend"]


class NetBackend(Protocol):
    """Implemented by the modules `trio_backend` and `asyncio_backend`."""

    @property
    def Event(self) -> Callable[[], Any]: ...  # noqa: N802  # the class of the library

    @property
    def wait_readable(self) -> Callable[[socket.socket], Awaitable[None]]: ...

    async def run_in_thread(self, fn: Callable[..., Any], *args: Any) -> Any: ...

    async def open_tcp(self, host: str, port: int) -> ByteStream: ...

    async def resolve(self, host: str | None, port: int) -> list[Any]: ...

    async def from_accepted(self, sock: socket.socket) -> ByteStream: ...

    def wrap(self, stream: Any) -> ByteStream: ...


def net_backend(rt: Runtime) -> NetBackend:
    """The backend of the library that runs."""
    if rt.name == "trio":
        from . import trio_backend

        return trio_backend
    from . import asyncio_backend

    return asyncio_backend
