"""A WebSocket on the ``trio-websocket`` package, over a stream of ours; and its client.

The package writes from whatever task happens to send, and a cancelled ``send_all`` would cut its
frame. So it is given a `BufferedStream`: a stream whose ``send_all`` only appends to a buffer,
which the one writer empties. Data, pongs and close frames pass through it in the order in which
the package made them, each whole.

What the package leaves to its users, and is seen to here: its handshake waits forever when the
stream ends before the reply, its reader raises into the nursery when the server refuses, a lost
connection leaves its ``ping()`` waiting, it reports a protocol error by the peer as a close frame
from the peer, and it can offer no extension.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

import trio
import trio_websocket as package
from wsproto.utilities import LocalProtocolError

from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream
from .._net.http_reply import plain_switching, read_reply
from .._net.read_budget import WAKE
from .._net.rejection import Rejected
from .flush_on_abort import flush_on_abort
from .frames import CLOSE, PONG, close_payload, frame
from .pieces import FrameSlicer
from .protocol import Request
from .transport import CloseInfo, Message, Outgoing, Ping, Sink, Text

if TYPE_CHECKING:
    from .._async_types import Nursery

__all__ = ["BufferedStream", "PackagedWebSocket", "TrioWebSocket"]

#: bytes in the cork before it is emptied in the middle of a batch
_CHUNK = 65_536
_CLOSE_BYTE, _PONG_BYTE = CLOSE.to_bytes(), PONG.to_bytes()
#: bytes that wait for a peer to read, with which a pong waits apart
_REPLIES = 131_072
#: frames that the package gets at a time: it takes some 20 µs for the smallest, in one step
_FRAMES = 32
#: fragments of a message that are joined before it is whole
_PARTS = 1024
#: steps of the scheduler until a close frame of the package's is in the cork
_PATIENCE = 10


@protected_methods
class BufferedStream(trio.abc.Stream):
    """The stream under the package: writes wait for the writer, reads wait for room."""

    def __init__(self, stream: ByteStream, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink
        self.buffer = bytearray()
        self._pong = b""  # the newest of those for which there was no room
        self.corked = False  # not during the handshake, when there is no writer yet
        self.said = b""  # during the handshake
        self.owned = False  # the writer is at work, and need not be woken
        self.flushing = False  # bytes are on their way: the stream may be in the middle of a frame
        self.between: Callable[[], None] = _nothing  # called before the package gets more
        self._pieces: deque[bytes] = deque()
        self._cutter = FrameSlicer(self._pieces.append)
        self._more = False  # to be cut
        #: when the others are to run, if they have not yet since the package got something
        self.due = 0.0
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
            self.said += data
            await self.flush()
        elif not self.owned:
            self._sink.wake_writer()

    async def flush(self) -> None:
        """Write everything. Cancelled: the stream may be cut, and ``flushing`` stays set."""
        while self.buffer:
            self.flushing = True
            data, self.buffer = self.buffer, bytearray()
            await self._stream.send_all(memoryview(data))
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
            data = bytes(await self._stream.receive())
        except OSError as exc:
            self.error = exc
            self.ended.set()
            raise trio.BrokenResourceError from exc
        self._sink.heard(len(data))
        if not data:
            self.ended.set()
            return data
        return self._cut(data)

    def _cut(self, data: bytes) -> bytes:
        """What the package is to have now, of what was read."""
        self.due = perf_counter() + WAKE
        self._more = self._cutter.feed(memoryview(data), _FRAMES)
        return self._pieces.popleft()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self._closed = True
        await trio.lowlevel.checkpoint()


def _nothing() -> None:
    """There is nothing to do."""


def _is_of_others(record: logging.LogRecord) -> bool:
    """Whether a line of the package's log is of a connection that is not ours: of ours it would
    show what a peer gave as its reason, as it is, and the payloads of pings."""
    args = record.args
    socket = args[0] if isinstance(args, tuple) and args else None
    return not isinstance(getattr(socket, "_stream", None), BufferedStream)


logging.getLogger("trio-websocket").addFilter(_is_of_others)


@protected_methods
class PackagedWebSocket:
    """See `Transport`. ``nursery`` carries the package's tasks; nothing is raised into it.

    Of either role: `_handshake` and `_raise_failure` make the difference.
    """

    name = "trio-websocket"
    _frame = staticmethod(frame)  # of this side's role

    def __init__(
        self,
        nursery: Nursery,
        stream: ByteStream,
        sink: Sink,
        cork: BufferedStream,
        max_size: int,
    ) -> None:
        self._nursery = nursery
        self._stream = stream
        self._sink = sink
        self._max_size = max_size
        self._cork = cork
        self._socket: Any = None  # the package's WebSocketConnection
        self._scope = trio.CancelScope()
        self._settled = trio.Event()  # the handshake came to something
        self._hosted = trio.Event()  # the package's tasks have ended
        self._answered = trio.Event()  # our close frame was answered, or never will be
        self._failure: BaseException | None = None
        self._fault: CloseInfo | None = None  # see `fail`
        self._closing = False
        self._said = CloseInfo("us", 1000)  # our close frame
        self._framed_at = 0.0
        self._batch: deque[Outgoing] = deque()  # what `write` has not given to the package yet
        self._parts: list[Any] = []  # of a message in fragments, the package's
        self._joined = 0  # of these: they are `_PARTS` fragments each
        cork.between = self._join_parts

    # ---- opening

    async def open(self) -> None:
        """Do the opening handshake. Raises Rejected, or OSError when the stream breaks."""
        self._nursery.start_soon(self._host)
        try:
            await self._settled.wait()
        except BaseException:
            self._scope.cancel()
            raise
        if self._socket is None:
            self._raise_failure()
        self._cork.corked = True

    async def _host(self) -> None:
        """Carry the package's tasks, and turn what they raise into state."""
        try:
            with self._scope:
                async with trio.open_nursery() as self._tasks:
                    self._tasks.start_soon(self._watch_handshake)
                    self._socket = await self._handshake()
                    self._settled.set()
                    await trio.sleep_forever()
        except* Exception as group:
            self._failure = group.exceptions[0]
        finally:
            self._settled.set()
            self._answered.set()
            self._hosted.set()

    async def _watch_handshake(self) -> None:
        """The package waits forever for a reply that the end of the stream has overtaken."""
        await self._cork.ended.wait()
        if not self._settled.is_set():
            self._scope.cancel()

    async def _handshake(self) -> Any:
        """The package's connection, open."""
        raise NotImplementedError

    def _raise_failure(self) -> NoReturn:
        raise NotImplementedError

    @property
    def subprotocol(self) -> str | None:
        name: str | None = self._socket.subprotocol
        return name

    # ---- reading

    async def read(self) -> CloseInfo:
        batch: list[Message] = []
        while True:
            try:
                message = await self._socket.get_message()
            except package.ConnectionClosed:
                break
            batch.append(Text(message.encode()) if isinstance(message, str) else message)
            self._sink.deliver(batch)
            batch.clear()
            self._cork.due = perf_counter() + WAKE  # the package's reader waited for this one
            if self._fault is not None:
                return self._fault
        if self._closing:  # a local close ends get_message before the peer has answered
            await self._answered.wait()
        return self._close_info()

    def _close_info(self) -> CloseInfo:
        closed = self._socket.closed
        code = 1006 if closed is None else int(closed.code)
        reason = (closed and closed.reason) or ""
        if code == 1009 and reason == f"Exceeded maximum message size: {self._max_size} bytes":
            # It may have failed since, at another such message.
            return CloseInfo("us", code, f"a message is over max_size, {self._max_size:,} bytes")
        if self._closing and isinstance(_innermost(self._failure), LocalProtocolError):
            return self._said  # it fails at a ping that comes before the answer to our close frame
        if self._failure is not None or code == 1006:
            cause = self._cork.error or self._failure
            text = str(cause) if cause else "the stream ended without a close frame"
            return CloseInfo("loss", 1006, text, cause)
        if not self._cork.close_sent:
            # A protocol error by the peer: the package shows it as a close, and sends nothing.
            self.fail(code, reason)
            return CloseInfo("us", code, reason)
        return CloseInfo("peer", code, reason)

    async def read_on(self) -> None:
        self._scope.cancel()
        await self._hosted.wait()  # two tasks cannot read one stream
        try:
            while await self._stream.receive():
                pass
        except OSError:
            pass

    def _join_parts(self) -> None:
        """The package keeps each fragment of a message by itself, and empty ones forever: a list
        of the smallest is a hundred times as large as they are."""
        parts: list[Any] | None = getattr(self._socket, "_message_parts", None)
        if parts is None or len(parts) < _PARTS:
            return
        if parts is not self._parts:
            self._parts, self._joined = parts, 0
        if len(parts) - self._joined >= _PARTS:
            rest = parts[self._joined :]
            parts[self._joined :] = [rest[0][:0].join(rest)]  # of text or of bytes
            self._joined += 1

    # ---- writing

    @property
    def pending(self) -> bool:
        return bool(self._cork.buffer)

    unfinished = 0  # `write_now` begins nothing

    @property
    def position(self) -> int:
        return self._stream.position

    @property
    def arrived(self) -> int:
        return self._stream.arrived

    @property
    def buffered(self) -> int:
        size: int = getattr(self._socket, "_message_size", 0)  # the package tells nobody
        return size

    @property
    def progress(self) -> float:
        # The package takes some 50 µs for a message, so a batch of them takes its time, too.
        return max(self._stream.progress, self._framed_at)

    async def write(self, batch: Sequence[Outgoing]) -> None:
        cork = self._cork
        cork.owned = True
        try:
            self._batch.extend(batch)
            await cork.flush()
            while self._batch:
                if self._fault is not None:  # behind a close frame comes nothing
                    raise ConnectionResetError("the connection is closing")
                payload = self._batch[0]
                if type(payload) is Ping:
                    self.ping(payload)
                else:
                    await self._give(payload)
                self._batch.popleft()
                self._framed_at = trio.current_time()
                if len(cork.buffer) >= _CHUNK:
                    await cork.flush()
            await cork.flush()
        except package.ConnectionClosed as exc:
            # The close frame that says so must go out; it may be on its way into the cork.
            for _ in range(_PATIENCE):
                if cork.close_sent or cork.ended.is_set():
                    break
                await trio.lowlevel.checkpoint()
            await cork.flush()
            raise ConnectionResetError("the connection is closing") from exc
        finally:
            cork.owned = False

    async def _give(self, payload: Outgoing) -> None:
        """One message, for the package to frame."""
        text = type(payload) is Text
        await self._socket.send_message(payload.decode() if text else payload)

    def write_now(self, payload: bytes) -> bool:
        return False

    def ping(self, payload: bytes) -> None:
        self._start_soon(self._ping, payload)

    def _start_soon(self, fn: Callable[..., Awaitable[None]], *args: object) -> None:
        if not self._hosted.is_set():
            self._tasks.start_soon(fn, *args)

    async def _ping(self, payload: bytes) -> None:
        with suppress(package.ConnectionClosed, LocalProtocolError):  # closed, or closing
            await self._socket.ping(bytes(payload))
            self._sink.ponged(payload)

    def close(self, code: int, reason: str) -> None:
        if not self._closing and self._socket.closed is None:
            self._closing, self._said = True, CloseInfo("us", code, reason)
            self._start_soon(self._close, code, reason)

    def fail(self, code: int, reason: str) -> None:
        self._fault = CloseInfo("us", code, reason)
        if not self._cork.close_sent:
            self._cork.buffer += self._frame(close_payload(code, reason), CLOSE)
            self._cork.close_sent = True
            self._sink.wake_writer()

    async def _close(self, code: int, reason: str) -> None:
        try:
            await self._socket.aclose(code, reason or None)
        finally:
            self._answered.set()

    def abort(self, unsent: Sequence[Outgoing]) -> None:
        if not self._cork.flushing and not self._cork.close_sent:
            unsent = [*self._batch, *unsent]
            flush_on_abort(self._stream, bytes(self._cork.buffer), unsent, self._frame)

    async def aclose(self) -> None:
        self._scope.cancel()
        await self._stream.aclose()


@protected_methods
class _ClientCork(BufferedStream):
    """Reads the reply for the package, which gets it plain, and then the first frames."""

    def __init__(self, stream: ByteStream, sink: Sink) -> None:
        super().__init__(stream, sink)
        self._answered = False
        # Of who dials; what reads here is the package's task, which has none.
        self._deadline = trio.current_effective_deadline()
        self._early = b""
        self.rejected: Rejected | None = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self._answered:
            return await self._read_head()
        if self._early:
            early, self._early = self._early, b""
            self._sink.heard(len(early))
            return self._cut(early)
        return await super().receive_some(max_bytes)

    async def _read_head(self) -> bytes:
        try:
            reply = await read_reply(self._stream, deadline=self._deadline)
            head = plain_switching(self.said, reply)
        except (OSError, Rejected) as exc:
            if isinstance(exc, Rejected):
                self.rejected = exc
            else:
                self.error = exc
            self.ended.set()
            raise trio.BrokenResourceError from exc
        self._answered, self._early = True, bytes(reply.rest)
        return head


@protected_methods
class TrioWebSocket(PackagedWebSocket):
    """A client."""

    def __init__(self, nursery: Nursery, stream: ByteStream, request: Request, sink: Sink) -> None:
        self._client_cork = _ClientCork(stream, sink)
        super().__init__(nursery, stream, sink, self._client_cork, request.max_size)
        self._request = request
        self._host_header, self._fields = request.fields()

    async def _handshake(self) -> Any:
        return await package.wrap_client_stream(
            self._tasks,
            self._client_cork,  # type: ignore[arg-type]  # any stream will do
            self._host_header,
            self._request.address.resource,
            subprotocols=self._request.subprotocols,
            extra_headers=self._fields,
            message_queue_size=0,
            max_message_size=self._max_size,
        )

    def _raise_failure(self) -> NoReturn:
        exc = _innermost(self._failure)
        if self._client_cork.rejected is not None:
            raise self._client_cork.rejected
        if self._cork.error is not None:
            raise self._cork.error
        raise Rejected(f"the handshake failed: {exc or 'cancelled'}", cause=exc)


def _innermost(exc: BaseException | None) -> BaseException | None:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc
