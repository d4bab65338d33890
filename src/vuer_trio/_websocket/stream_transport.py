"""A WebSocket on a sans-I/O protocol, over any byte stream; and the client's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import Enum

from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream, StreamLayer
from .._net.http_reply import plain_switching, read_reply
from .._net.read_budget import ReadBudget
from .fast_parser import FastParser
from .flush_on_abort import flush_on_abort
from .frames import (
    BINARY,
    CLIENT,
    CLOSE,
    FIRST,
    KEYS,
    PING,
    PONG,
    Role,
    apply_mask,
    frame,
    header,
    new_key,
    prefix,
)
from .pieces import FrameSlicer
from .protocol import ClientProtocol, WebSocketProtocol
from .text_check import NOT_UTF8
from .transport import LARGE, CloseInfo, Outgoing, Sink

__all__ = ["LAST", "LONG", "ClientStreamTransport", "StreamTransport"]

#: frames of the library's that wait for a peer to read
_REPLIES = 1024
#: bytes; of a larger batch all but the last of it is written without a bound of what the system
#: takes, since what has begun cannot be replaced
LONG, LAST = 524_288, 65_536


class _Phase(Enum):
    """Of a WebSocket (RFC 6455 §7.1). From one to a later one, never back."""

    OPEN = "open"
    CLOSING = "closing"  # our close frame is being written, or is out: no data may follow it
    CLOSED = "closed"  # it is known how the connection has ended
    ENDED = "ended"  # and a server has ended the stream


class _Out(Enum):
    """What is being written."""

    NOTHING = "nothing"
    REST = "rest"  # the rest of a frame that `write_now` began waits for `write`
    BATCH = "batch"  # `write` is at work; it stays so if that is cut
    REST_AND_BATCH = "rest and batch"  # likewise


@protected_methods
class StreamTransport(StreamLayer, ABC):
    """See `Transport`. ``early`` are bytes that came behind the handshake; the sink hears of them
    when `read` is called, not before."""

    _role: Role = CLIENT

    def __init__(
        self,
        stream: ByteStream,
        protocol: WebSocketProtocol,
        sink: Sink,
        max_size: int,
        early: bytes = b"",
    ) -> None:
        self._stream = stream
        self._sink = sink
        self._protocol = protocol
        self._messages = protocol.messages  # whole ones, from both
        self._fast_parser = FastParser(
            max_size,
            protocol.messages.append,
            self._other,
            self._bad_text,
            masked=self._role.is_server,
        )
        self._parser: FastParser | FrameSlicer = self._fast_parser
        self._budget = ReadBudget()
        self._early = early
        self._compressed = False
        self._rest = b""  # of a frame that `write_now` began
        self._phase = _Phase.OPEN
        self._out = _Out.NOTHING
        self._is_bad_text = False  # what follows
        self._close_info: CloseInfo | None = None

    @property
    def name(self) -> str:
        return self._protocol.name

    @property
    def subprotocol(self) -> str | None:
        return self._protocol.subprotocol

    # ---- reading

    async def read(self) -> CloseInfo:
        early, self._early = self._early, b""
        if early:
            self._take(memoryview(early))
        while self._close_info is None:
            if self._protocol.busy:
                await self._protocol.settle()
                self._react()
                if self._is_bad_text:
                    self._bad_text()
                self._parse(False)  # only hands over
                continue
            more = self._parser.more
            if self._sink.full:
                await self._sink.drained()
            elif more:
                await self._sink.turn()
            if more:
                self._budget.begin()
                self._parse(self._parser.go_on(self._budget.step))
                continue
            try:
                await self._stream.pump(self._take, self._parser.room)
            except OSError as exc:
                self._end(CloseInfo("loss", 1006, str(exc), exc))
        return self._close_info

    async def read_on(self) -> None:
        await self._finish()
        with suppress(OSError):
            while await self._stream.receive():
                pass

    def _end(self, close_info: CloseInfo | None) -> None:
        """The first ending stays."""
        if self._close_info is None and close_info is not None:
            self._close_info = close_info
            self._phase = _Phase.CLOSED

    def _take(self, data: memoryview) -> bool:
        """Some bytes, or none at the end; whether to read on."""
        self._sink.heard(len(data))
        if not data:
            self._end(CloseInfo("loss", 1006, "the stream ended without a close frame"))
            return False
        budget = self._budget
        budget.begin()
        return self._parse(self._parser.feed(data, budget.step))

    def _parse(self, more: bool) -> bool:
        """Hand over what has been split, and go on until the others are to run, or the sink is
        full; whether to read on."""
        sink, messages, budget = self._sink, self._messages, self._budget
        while True:
            full = sink.deliver(messages) if messages else sink.full
            messages.clear()
            if self._close_info is not None or self._protocol.busy:
                return False
            if not more:
                return not full
            if full or budget.spent():
                return False
            more = self._parser.go_on(budget.step)

    def _other(self, data: bytes) -> bool:
        """Bytes for the protocol library; whether the stream goes on after them."""
        goes_on = self._protocol.receive(data)
        if self._protocol.busy:
            self._fast_parser.hold()
        self._react()
        return goes_on

    def _bad_text(self) -> None:
        self._is_bad_text = True
        if not self._protocol.busy:  # else what it has comes first
            self._protocol.fail(1007, NOT_UTF8)
            self._react()

    def _react(self) -> None:
        """To what the library has made of what it got."""
        protocol = self._protocol
        if protocol.out:
            self._send_replies()
        for payload in protocol.pongs:
            if self._messages:
                self._sink.deliver(self._messages)  # what came before it
                self._messages.clear()
            self._sink.ponged(payload)
        protocol.pongs.clear()
        self._end(protocol.close_info)

    def _send_replies(self) -> None:
        out = self._protocol.out
        if len(out) > _REPLIES:
            # A peer that asks and does not read: the newest pong will do (RFC 6455 §5.5.3).
            pongs = [reply for reply in out if reply[0] == PONG]
            out[:] = [*pongs[-1:], *(reply for reply in out if reply[0] != PONG)]
        self._sink.wake_writer()

    # ---- writing

    @property
    def pending(self) -> bool:
        return bool(self._rest or self._protocol.out)

    @property
    def _is_open(self) -> bool:
        """Whether data may follow: behind a close frame none may (RFC 6455 §5.5.1)."""
        out = self._protocol.out
        return self._phase is _Phase.OPEN and not (out and out[-1][0] == CLOSE)

    @property
    def buffered(self) -> int:
        return self._parser.buffered + self._protocol.buffered

    @property
    def unfinished(self) -> int:
        return int(self._out in (_Out.REST, _Out.REST_AND_BATCH))

    async def write(self, batch: Sequence[Outgoing], size: int = 0) -> None:
        send_all = self._stream.send_all
        self._out = _Out.REST_AND_BATCH if self._rest else _Out.BATCH
        is_open = self._is_open
        if not is_open and self._phase is _Phase.OPEN:
            self._phase = _Phase.CLOSING
        late = bool(batch) and not is_open
        out = [self._rest, *self._protocol.out]
        self._rest = b""
        self._protocol.out.clear()
        pieces = self._framed(out, () if late else batch, size)
        if size > LONG:
            left = size
            with self._stream.long_write():
                for data in pieces:
                    await send_all(data)
                    left -= len(data)
                    if left <= LAST:
                        break
        for data in pieces:
            await send_all(data)
        self._out = _Out.NOTHING
        if self._phase is _Phase.CLOSED:
            await self._finish()
        if late:
            raise ConnectionResetError("the connection is closing")

    @abstractmethod
    def _framed(
        self, out: list[bytes], batch: Sequence[Outgoing], total: int
    ) -> Iterator[bytes | memoryview]:
        """What goes to the stream, piece by piece: ``out``, whole frames, and then the batch."""

    def write_now(self, payload: bytes) -> bool:
        if self._compressed or self._rest or self._protocol.out or self._phase is not _Phase.OPEN:
            return False
        data = self._role.framed(payload)
        try:
            sent = self._stream.try_send(data)
        except OSError:
            sent = 0  # the writer meets it too, and tells the link
        if sent < len(data):
            self._rest = data[sent:]
            self._out = _Out.REST
            self._sink.wake_writer()
        return True

    # ---- the end

    async def _finish(self) -> None:
        """After the end, and once nothing is left to be written, a server ends the stream
        (RFC 6455 §7.1.1): a client waits for that."""
        is_idle = self._out is _Out.NOTHING and not self.pending
        if self._role.is_server and self._phase is _Phase.CLOSED and is_idle:
            self._phase = _Phase.ENDED
            with suppress(OSError):
                await self._stream.send_eof()

    def ping(self, payload: bytes) -> None:
        if self._is_open:
            self._protocol.out.append(self._role.frame(payload, PING))
            self._sink.wake_writer()

    def close(self, code: int, reason: str) -> None:
        self._protocol.close(code, reason)
        self._sink.wake_writer()

    def fail(self, code: int, reason: str) -> None:
        self._protocol.fail(code, reason)
        self._sink.wake_writer()
        self._end(CloseInfo("us", code, reason))

    def abort(self, unsent: Sequence[Outgoing]) -> None:
        if self._is_open and self._out in (_Out.NOTHING, _Out.REST):
            head = b"".join((self._rest, *self._protocol.out))
            flush_on_abort(self._stream, head, () if self._compressed else unsent, self._role)

    async def aclose(self) -> None:
        self._parser = self._fast_parser
        self._fast_parser.close()  # it holds methods of this transport
        await self._stream.aclose()


@protected_methods
class ClientStreamTransport(StreamTransport):
    """A client's. `open` does the handshake; before it nothing else may be called."""

    def __init__(
        self, stream: ByteStream, protocol: ClientProtocol, sink: Sink, max_size: int
    ) -> None:
        super().__init__(stream, protocol, sink, max_size)
        self._handshake = protocol

    async def open(self) -> None:
        """Do the opening handshake. Raises Rejected, or OSError when the stream breaks."""
        request = self._handshake.request()
        await self._stream.send_all(request)
        reply = await read_reply(self._stream)
        self._handshake.receive_head(plain_switching(request, reply))
        await self._handshake.settle()
        self._compressed = self._handshake.compressed
        if self._compressed:
            self._parser = FrameSlicer(self._other)  # every frame is the library's
        self._early = bytes(reply.rest)  # the first frames may share a segment with the reply

    def _framed(
        self, out: list[bytes], batch: Sequence[Outgoing], total: int
    ) -> Iterator[bytes | memoryview]:
        small, last = 0 if self._compressed else LARGE, -1
        pop_key = KEYS.pop
        for payload in batch:
            size, kind = len(payload), type(payload)
            if kind is bytes and size < small:  # as most: what is below, without the calls
                if size != last:
                    head, last = prefix(size), size
                try:
                    key = pop_key()
                except IndexError:
                    key = new_key()
                out += (head, key, apply_mask(payload, key))
                continue
            first = FIRST.get(kind, BINARY)
            if first == PING:
                out.append(frame(payload, PING))
            elif self._compressed:
                out.append(self._protocol.encode(payload))
            elif size < LARGE:
                key = new_key()
                out += (header(first, size, key), apply_mask(payload, key))
            else:
                # In slices, a multiple of the key's four bytes: no masked copy of the whole.
                key = new_key()
                out.append(header(first, size, key))
                yield b"".join(out)
                out.clear()
                view = memoryview(payload)
                for start in range(0, size, LARGE):
                    yield apply_mask(view[start : start + LARGE], key)
        yield b"".join(out)
