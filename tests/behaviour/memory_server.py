"""A server in memory, on Trio: its connections are streams that a test holds the other end of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from vuer_trio._runtime import runtime
from vuer_trio._transport.listen import greet_stream
from vuer_trio._transport.listening import Listening
from vuer_trio.server.serving import Serving

__all__ = ["MemoryServer", "memory_server"]

#: virtual seconds, after which a test that would wait for ever fails
_DEADLINE = 100_000.0


class MemoryServer:
    """One run of ``app``. Cancelling ``scope`` is what cancelling `Vuer.serve` is."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.rt = runtime()
        self.serving = Serving(app, self.rt, app._options)
        self.ended = trio.Event()
        self.scope = trio.CancelScope()
        self._nursery: Any = None
        options = app._options
        self._listening = Listening(
            None,
            0,
            options.max_size,
            None,
            options.handshake_timeout,
            options.transport,
        )

    async def run(self, *, task_status: Any) -> None:
        self.app._serving = self.serving
        try:
            with self.scope:
                async with trio.open_nursery() as self._nursery:
                    self._nursery.start_soon(self.serving._close_at_the_end)
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            self.app._serving = None
            self.ended.set()

    def connect(self, pair: Callable[[], Any] = trio.testing.memory_stream_pair) -> Any:
        """The client's end of a new connection."""
        client_end, server_end = pair()
        self._nursery.start_soon(
            greet_stream, self.rt, self._listening, server_end, self.serving.greet
        )
        return client_end


@asynccontextmanager
async def memory_server(app: Any) -> AsyncIterator[MemoryServer]:
    with trio.fail_after(_DEADLINE):
        async with trio.open_nursery() as nursery:
            server = MemoryServer(app)
            await nursery.start(server.run)
            yield server
            server.scope.cancel()
