"""A WebSocket server's connection on the ``trio-websocket`` package.

The package reads a request of its own, and waits forever for a good one. So it is given one that
is known to be good, and then nothing until it has answered: what came behind the real request is a
client's first frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import trio
import trio_websocket as package

from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream
from .._net.rejection import Rejected
from .frames import server_frame
from .transport import CloseInfo, Outgoing, Prepared, Sink
from .trio_websocket import BufferedStream, PackagedWebSocket

if TYPE_CHECKING:
    from .._async_types import Nursery

__all__ = ["TrioWebSocketServer"]


@protected_methods
class _ServerCork(BufferedStream):
    """Gives the request, and the first frames once `let_in` was called."""

    def __init__(self, stream: ByteStream, sink: Sink, request: bytes, early: bytes) -> None:
        super().__init__(stream, sink)
        self._request = request
        self._early = early
        self._accepted = trio.Event()

    def let_in(self) -> None:
        """The handshake is done, and the writer writes from now on."""
        self.corked = True
        self._accepted.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._request:
            request, self._request = self._request, b""
            return request
        await self._accepted.wait()
        if self._early:
            early, self._early = self._early, b""
            self._sink.heard(len(early))
            return self._cut(early)
        return await super().receive_some(max_bytes)


@protected_methods
class TrioWebSocketServer(PackagedWebSocket):
    """See `Transport`. ``request`` is a good upgrade, ``early`` what came behind it."""

    _frame = staticmethod(server_frame)

    def __init__(
        self,
        nursery: Nursery,
        stream: ByteStream,
        sink: Sink,
        max_size: int,
        request: bytes,
        early: bytes,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._server_cork = _ServerCork(stream, sink, request, early)
        super().__init__(nursery, stream, sink, self._server_cork, max_size)
        self._over = False  # what is to be written is the last
        self._finished = False
        self._fields = [(n.lower().encode("ascii"), v.encode("latin-1")) for n, v in headers]

    async def _handshake(self) -> Any:
        request = await package.wrap_server_stream(
            self._tasks,
            self._server_cork,
            message_queue_size=0,
            max_message_size=self._max_size,
        )
        socket = await request.accept(extra_headers=self._fields)
        self._server_cork.let_in()
        return socket

    def _raise_failure(self) -> NoReturn:
        exc = self._failure
        while isinstance(exc, BaseExceptionGroup):
            exc = exc.exceptions[0]
        if isinstance(exc, OSError):
            raise exc
        raise Rejected(f"the handshake failed: {exc or 'cancelled'}", cause=exc)

    async def _give(self, payload: Outgoing) -> None:
        if type(payload) is not Prepared:
            await super()._give(payload)
        elif self._socket.closed is not None or self._cork.close_sent:
            await super()._give(payload.payload)  # the package says what there is to say
        else:  # whole, between two frames of the package's
            self._cork.buffer += payload

    async def write(self, batch: Sequence[Outgoing]) -> None:
        try:
            await super().write(batch)
        except ConnectionResetError:  # it may be closing, with the close frame out
            await self._finish()
            raise
        await self._finish()

    async def read(self) -> CloseInfo:
        close_info = await super().read()
        self._over = True
        return close_info

    async def read_on(self) -> None:
        await self._finish()
        await super().read_on()

    async def _finish(self) -> None:
        """After the end, and once nothing is left to be written, a server ends the stream
        (RFC 6455 §7.1.1): a client waits for that."""
        if self._over and not (self._finished or self._cork.owned or self.pending):
            self._finished = True
            with suppress(OSError):
                await self._stream.send_eof()
