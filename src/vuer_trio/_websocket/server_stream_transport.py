"""A WebSocket server's connection on a sans-I/O protocol, over any wire."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream
from .flush_on_abort import flush_on_abort
from .frames import BINARY, FIRST, server_frame, server_header
from .protocol import WebSocketProtocol
from .server_fast_parser import ServerFastParser
from .stream_transport import StreamTransport
from .transport import LARGE, CloseInfo, Outgoing, Prepared, Sink

__all__ = ["ServerStreamTransport"]


@protected_methods
class ServerStreamTransport(StreamTransport):
    """See `Transport`. Of a stream on which the opening handshake is done.

    ``early`` are the bytes that came behind the client's request; the sink hears of them when
    `read` is called, not before. Nothing is compressed.
    """

    _frame = staticmethod(server_frame)

    def __init__(
        self,
        stream: ByteStream,
        protocol: WebSocketProtocol,
        sink: Sink,
        max_size: int,
        early: bytes,
    ) -> None:
        super().__init__(stream, protocol, sink, max_size, ServerFastParser)
        self._early = early
        self._finished = False

    async def read(self) -> CloseInfo:
        early, self._early = self._early, b""
        if early:
            self._take(memoryview(early))
        return await super().read()

    async def read_on(self) -> None:
        await self._finish()
        await super().read_on()

    async def _finish(self) -> None:
        """After the end, and once nothing is left to be written, a server ends the stream
        (RFC 6455 §7.1.1): a client waits for that."""
        if self._close_info is not None and not (self._finished or self._writing or self.pending):
            self._finished = True
            with suppress(OSError):
                await self._stream.send_eof()

    async def write(self, batch: Sequence[Outgoing]) -> None:
        send_all = self._stream.send_all
        self._writing = True
        out = [self._rest, *self._control]
        self._rest = b""
        self._control.clear()
        if batch and self._over:
            try:
                await self._write_last(out)
            finally:
                await self._finish()
        for payload in batch:
            kind = type(payload)
            if kind is not Prepared:
                out.append(server_header(FIRST.get(kind, BINARY), len(payload)))
            if len(payload) < LARGE:
                out.append(payload)
            else:  # not joined
                await send_all(b"".join(out))
                out.clear()
                await send_all(payload)
        await send_all(b"".join(out))
        self._writing = self._begun = False
        await self._finish()

    def write_now(self, payload: bytes) -> bool:
        if self._rest or self._control:
            return False
        data = self._framed(payload)
        try:
            sent = self._stream.try_send(data)
        except OSError:
            sent = 0  # the writer meets it too, and tells the link
        if sent < len(data):
            self._rest = data[sent:]
            self._begun = True
            self._sink.wake_writer()
        return True

    @staticmethod
    def _framed(payload: Outgoing) -> bytes:
        kind = type(payload)
        return payload if kind is Prepared else server_frame(payload, FIRST.get(kind, BINARY))

    def abort(self, unsent: Sequence[Outgoing]) -> None:
        if not (self._writing or self._over):
            head = b"".join((self._rest, *self._control))
            flush_on_abort(self._stream, head, unsent, server_frame)
