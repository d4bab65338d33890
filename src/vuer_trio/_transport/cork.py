"""The stream under the ``trio-websocket`` package: what it writes waits for the one writer, what it
reads waits for room, and comes a few frames at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter

import trio

from .base import Sink
from .budget import WAKE
from .framing import CLOSE, PONG
from .pieces import Pieces
from .wire import Wire

__all__ = ["Cork"]

#: bytes of a handshake's reply, after which it is refused
_REPLY = 1 << 20
_CLOSE_BYTE, _PONG_BYTE = CLOSE.to_bytes(), PONG.to_bytes()
#: bytes that wait for a peer to read, with which a pong waits apart
_REPLIES = 131_072
#: frames that the package gets at a time: it takes some 20 µs for the smallest, in one step
_FRAMES = 32


class Cork(trio.abc.Stream):
    """The stream under the package: writes wait for the writer, reads wait for room."""

    def __init__(self, wire: Wire, sink: Sink) -> None:
        self._wire = wire
        self._sink = sink
        self.buffer = bytearray()
        self._pong = b""  # the newest of those for which there was no room
        self.corked = False  # not during the handshake, when there is no writer yet
        self.owned = False  # the writer is at work, and need not be woken
        self.flushing = False  # bytes are on their way: the stream may be in the middle of a frame
        #: bytes of the handshake's reply, and what may be the beginning of its last line
        self._size, self._seen = 0, b""
        self.framed = False  # what comes is frames, and the reply is over
        self.between: Callable[[], None] = _nothing  # called before the package gets more
        self._pieces: deque[bytes] = deque()
        self._cutter = Pieces(self._pieces.append)
        self._more = False  # to be cut
        #: when the others are to run, if they have not yet since the package got something
        self.due = 0.0
        self.head = b""  # the beginning of the handshake's reply
        self.error: OSError | None = None
        self.ended = trio.Event()
        self.close_sent = False
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        if data[:1] == _PONG_BYTE and len(self.buffer) > _REPLIES:
            # A peer that asks and does not read: the newest pong will do (RFC 6455 §5.5.3).
            self._pong = bytes(data)
            return
        self.buffer += data
        if data[:1] == _CLOSE_BYTE:
            self.close_sent = True
        if not self.corked:
            await self.flush()
        elif not self.owned:
            self._sink.wake_writer()

    async def flush(self) -> None:
        """Write everything. Cancelled: the stream may be cut, and ``flushing`` stays set."""
        while self.buffer:
            self.flushing = True
            data, self.buffer = self.buffer, bytearray()
            await self._wire.send_all(memoryview(data))
            self.flushing = False
            if not self.close_sent:
                self.buffer += self._pong
            self._pong = b""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._sink.full:
            await self._sink.drained()
        if self._closed:
            raise trio.ClosedResourceError
        if self._more:
            if perf_counter() > self.due:
                await trio.lowlevel.checkpoint()
                self.due = perf_counter() + WAKE
            self.between()
            self._more = self._cutter.go_on(_FRAMES)
            return self._pieces.popleft()
        try:
            data = bytes(await self._wire.receive())
        except OSError as exc:
            self.error = exc
            self.ended.set()
            raise trio.BrokenResourceError from exc
        self._sink.heard(len(data))
        if not data:
            self.ended.set()
            return data
        return self._read(data)

    def _read(self, data: bytes) -> bytes:
        """What the package is to have now, of what was read."""
        if not self.corked:
            self.head = (self.head + data)[:1024]
            self._size += len(data)
            if self._size > _REPLY:
                self.ended.set()
                return b""
        cut = 0
        if not self.framed:
            end = (self._seen + data).find(b"\r\n\r\n")
            if end < 0:
                self._seen = (self._seen + data)[-3:]
                return data
            self.framed = True
            cut = end + 4 - len(self._seen)
        self.due = perf_counter() + WAKE
        if cut < len(data):
            self._more = self._cutter.feed(memoryview(data)[cut:], _FRAMES)
            self._pieces[0] = data[:cut] + self._pieces[0]
            return self._pieces.popleft()
        return data

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self._closed = True
        await trio.lowlevel.checkpoint()


def _nothing() -> None:
    """There is nothing to do."""
