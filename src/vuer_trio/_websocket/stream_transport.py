"""A WebSocket client on a sans-I/O protocol, over any wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, cast

from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream
from .._net.http_reply import plain_switching, read_reply
from .._net.read_budget import ReadBudget
from .fast_parser import FastParser
from .flush_on_abort import flush_on_abort
from .frames import (
    BINARY,
    FIRST,
    KEYS,
    PING,
    PONG,
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

__all__ = ["StreamTransport"]

#: frames of the library's that wait for a peer to read
_REPLIES = 1024


@protected_methods
class StreamTransport:
    """See `Transport`. `open` does the handshake; before it nothing else may be called."""

    _frame = staticmethod(frame)  # of this side's role

    def __init__(
        self,
        stream: ByteStream,
        protocol: WebSocketProtocol,
        sink: Sink,
        max_size: int,
        parser: type[FastParser] = FastParser,
    ) -> None:
        self._stream = stream
        self._protocol = protocol
        self._sink = sink
        self._messages = protocol.messages  # whole ones, from both
        self._parser: FastParser | FrameSlicer = parser(
            max_size, protocol.messages.append, self._other, self._bad_text
        )
        self._budget = ReadBudget()
        self._more = False  # to be split, of what was read
        self._compressed = False
        self._rest = b""  # of a frame that `write_now` began
        self._begun = False
        self._control: list[bytes] = []
        self._reading = False  # the sink may get messages
        self._writing = False
        self._closing = False
        self._close_info: CloseInfo | None = None

    @property
    def name(self) -> str:
        return self._protocol.name

    @property
    def subprotocol(self) -> str | None:
        return self._protocol.subprotocol

    # ---- opening

    async def open(self) -> None:
        """Do the opening handshake. Raises Rejected, or OSError when the stream breaks."""
        protocol = cast(ClientProtocol, self._protocol)
        request = protocol.request()
        await self._stream.send_all(request)
        reply = await read_reply(self._stream)
        protocol.receive_head(plain_switching(request, reply))
        self._compressed = protocol.compressed
        if self._compressed:
            self._parser = FrameSlicer(self._other)  # every frame is the library's
        if reply.rest:  # the first frames may share a segment with the reply
            self._more = self._parser.feed(memoryview(reply.rest), self._budget.step)

    # ---- reading

    async def read(self) -> CloseInfo:
        self._reading = True
        self._hand_over()  # what came with the handshake
        while self._close_info is None:
            if self._sink.full:
                await self._sink.drained()
            elif self._more:
                await self._sink.turn()
            if self._more:
                self._budget.begin()
                self._parse(self._parser.go_on(self._budget.step))
                continue
            try:
                await self._stream.pump(self._take)
            except OSError as exc:
                self._close_info = CloseInfo("loss", 1006, str(exc), exc)
        return self._close_info

    async def read_on(self) -> None:
        try:
            while await self._stream.receive():
                pass
        except OSError:
            pass

    def _take(self, data: memoryview) -> bool:
        """Some bytes, or none at the end; whether to read on."""
        self._sink.heard(len(data))
        if not data:
            self._close_info = CloseInfo("loss", 1006, "the stream ended without a close frame")
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
            if self._close_info is not None:
                return False
            if not more:
                self._more = False
                return not full
            if full or budget.spent():
                self._more = True
                return False
            more = self._parser.go_on(budget.step)

    def _hand_over(self) -> None:
        if self._messages:
            self._sink.deliver(self._messages)
            self._messages.clear()

    def _other(self, data: bytes) -> bool:
        """Bytes for the protocol library; whether the stream goes on after them."""
        protocol = self._protocol
        goes_on = protocol.receive(data)
        self._send_replies()
        for payload in protocol.pongs:
            if self._reading:
                self._hand_over()  # what came before it
            self._sink.ponged(payload)
        protocol.pongs.clear()
        if self._close_info is None:
            self._close_info = protocol.close_info
        return goes_on

    def _bad_text(self) -> None:
        self._protocol.fail(1007, NOT_UTF8)
        self._send_replies()
        if self._close_info is None:
            self._close_info = self._protocol.close_info

    def _send_replies(self) -> None:
        if self._protocol.out:
            self._control += self._protocol.out
            self._protocol.out.clear()
            if len(self._control) > _REPLIES:
                # A peer that asks and does not read: the newest pong will do (RFC 6455 §5.5.3).
                pongs = [reply for reply in self._control if reply[0] == PONG]
                others = [reply for reply in self._control if reply[0] != PONG]
                self._control = [*pongs[-1:], *others]
            self._sink.wake_writer()

    # ---- writing

    @property
    def pending(self) -> bool:
        return bool(self._rest or self._control)

    @property
    def buffered(self) -> int:
        return self._parser.buffered + self._protocol.buffered

    @property
    def unfinished(self) -> int:
        return int(self._begun)

    @property
    def position(self) -> int:
        return self._stream.position

    @property
    def arrived(self) -> int:
        return self._stream.arrived

    @property
    def progress(self) -> float:
        return self._stream.progress

    async def write(self, batch: Sequence[Outgoing]) -> None:
        send_all = self._stream.send_all
        self._writing = True
        out = [self._rest, *self._control]
        self._rest = b""
        self._control.clear()
        if batch and self._over:
            await self._write_last(out)
        small, last = 0 if self._compressed else LARGE, -1
        for payload in batch:
            size, kind = len(payload), type(payload)
            if kind is bytes and 125 < size < small:  # as most: what is below, without the calls
                if size != last:
                    head, last = prefix(size), size
                try:
                    key = KEYS.pop()
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
                await send_all(b"".join(out))
                out.clear()
                view = memoryview(payload)
                for start in range(0, size, LARGE):
                    await send_all(apply_mask(view[start : start + LARGE], key))
        await send_all(b"".join(out))
        self._writing = self._begun = False

    @property
    def _over(self) -> bool:
        """A close frame has gone out, or is about to: no data may follow (RFC 6455 §5.5.1)."""
        return self._closing or self._close_info is not None

    async def _write_last(self, out: Sequence[bytes]) -> NoReturn:
        """Write what is not data, and say that data would come too late."""
        await self._stream.send_all(b"".join(out))
        self._writing = self._begun = False
        raise ConnectionResetError("the connection is closing")

    def write_now(self, payload: bytes) -> bool:
        if self._compressed or self._rest or self._control:
            return False
        data = frame(payload, FIRST.get(type(payload), BINARY))
        try:
            sent = self._stream.try_send(data)
        except OSError:
            sent = 0  # the writer meets it too, and tells the link
        if sent < len(data):
            self._rest = data[sent:]
            self._begun = True
            self._sink.wake_writer()
        return True

    def ping(self, payload: bytes) -> None:
        if not self._over:
            self._control.append(self._frame(payload, PING))
            self._sink.wake_writer()

    def close(self, code: int, reason: str) -> None:
        self._closing = True
        self._protocol.close(code, reason)
        self._send_replies()

    def fail(self, code: int, reason: str) -> None:
        self.close(code, reason)
        if self._close_info is None:
            self._close_info = CloseInfo("us", code, reason)

    def abort(self, unsent: Sequence[Outgoing]) -> None:
        if not (self._writing or self._over):
            head = b"".join((self._rest, *self._control))
            flush_on_abort(self._stream, head, () if self._compressed else unsent)

    async def aclose(self) -> None:
        await self._stream.aclose()
