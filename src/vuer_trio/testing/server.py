"""A Vuer server in memory, without a port or a socket; everything else is real."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._interrupts import protected_block
from .._net.in_memory import host_inside
from .._nursery import background_service
from .._runtime import runtime
from .memory import memory_stream_pair

if TYPE_CHECKING:
    from .._async_types import AsyncEvent, CancelScope, TaskStatus
    from .._runtime import Runtime
    from ..server import Vuer, VuerSession
    from ..server.serving import Serving

__all__ = ["MemoryServer", "as_it_is", "open_memory_server"]

_numbers = itertools.count(1)


class MemoryServer:
    """A running app, which clients in this process reach at `uri`."""

    def __init__(self, app: Vuer, wrap: Callable[[Any], Any]) -> None:
        from ..server.serving import Serving

        self.app = app
        # TLS is for a network, and so is what finds a server there.
        options = replace(app._options, tls=None, mdns=False)
        self.rt: Runtime = runtime()
        self.host: str = f"vuer-{next(_numbers)}.memory"
        self.serving: Serving = Serving(app._registered, self.rt, options)
        #: set when it has ended, and its sessions with it
        self.ended: AsyncEvent = self.rt.Event()
        #: cancelling it is what cancelling `Vuer.serve` is
        self.scope: CancelScope = self.rt.CancelScope()
        #: both ends of each connection, the server's last
        self.streams: list[tuple[Any, Any]] = []
        self._wrap = wrap
        self._nursery: Any = None

    @property
    def uri(self) -> str:
        """The address, for clients in the same event loop."""
        return f"ws://{self.host}"

    @property
    def sessions(self) -> tuple[VuerSession, ...]:
        """The open sessions, oldest first."""
        return self.app.sessions

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Serve until cancelled, which closes every session with 1001."""
        if self.app._serving is not None:
            raise RuntimeError(f"{self.app!r} is already serving")
        self.app._serving = self.serving
        try:
            with self.scope, host_inside(self.host, self.open_stream):
                async with self.rt.open_nursery() as self._nursery:
                    for service in self.serving.server.services:
                        self._nursery.start_soon(service)
                    task_status.started(None)
                    await self.rt.Event().wait()
        finally:
            self.app._serving = None
            self.ended.set()

    async def open_stream(self) -> Any:
        """The client's end of a new connection, for dialling."""
        return self.connect()

    def connect(self, pair: Callable[[], tuple[Any, Any]] = memory_stream_pair) -> Any:
        """The client's end of a new connection, for ``open_vuer_client(stream=...)``."""
        if self.scope.cancel_called or self.serving.server.closing:
            raise ConnectionRefusedError(f"{self.host} has ended")
        client_end, server_end = pair()
        client_end = self._wrap(client_end)
        self.streams.append((client_end, server_end))
        self._nursery.start_soon(self.serving.server.serve_stream, server_end)
        return client_end

    def cancel(self) -> None:
        """Stop the server, as cancelling `Vuer.serve` does."""
        self.scope.cancel()


def as_it_is(stream: Any) -> Any:
    """No fault."""
    return stream


@protected_block
async def open_memory_server(
    app: Vuer, *, wrap: Callable[[Any], Any] = as_it_is
) -> AsyncGenerator[MemoryServer, None]:
    """``async with open_memory_server(app) as server:`` serves while the block runs.

    ``open_vuer_client(server.uri)`` connects through memory, any number of times; reconnecting
    works. ``wrap`` wraps the client's end of each connection, in a `faulty` stream for example.
    When the block ends, every session is closed with 1001.
    """
    server = MemoryServer(app, wrap)
    async with background_service(server.rt, server.run):
        try:
            yield server
        finally:
            server.cancel()
