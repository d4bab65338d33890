"""A WebSocket on the ``trio-websocket`` package, over a stream of ours; and its client.

The package writes from whatever task happens to send, and a cancelled ``send_all`` would cut its
frame. So it is given a `Cork`: a stream whose ``send_all`` only appends to a buffer, which the one
writer empties. Data, pongs and close frames pass through it in the order in which the package made
them, each whole.

What the package leaves to its users, and is seen to here: its handshake waits for ever when the
stream ends before the reply, its reader raises into the nursery when the server refuses, a lost
connection leaves its ``ping()`` waiting, it reports a fault of the peer's as a close frame of the
peer's, and it can offer no extension.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, NoReturn

import trio
import trio_websocket as package

from .base import Ending, Message, Outgoing, Ping, Sink, Text
from .budget import WAKE
from .core import Request
from .cork import Cork
from .farewell import farewell
from .framing import CLOSE, close_payload, frame
from .handshake import Rejected, refusal
from .wire import Wire

__all__ = ["PackagedWebSocket", "TrioWebSocket"]

#: bytes in the cork before it is emptied in the middle of a batch
_CHUNK = 65_536
#: fragments of a message that are joined before it is whole
_PARTS = 1024
#: steps of the scheduler until a close frame of the package's is in the cork
_PATIENCE = 10


class PackagedWebSocket:
    """See `Transport`. ``nursery`` carries the package's tasks; nothing is raised into it.

    Of either role: `_handshake` and `_raise_failure` make the difference.
    """

    name = "trio-websocket"
    _frame = staticmethod(frame)  # of this side's role

    def __init__(
        self, nursery: trio.Nursery, wire: Wire, sink: Sink, cork: Cork, max_size: int
    ) -> None:
        self._nursery = nursery
        self._wire = wire
        self._sink = sink
        self._max_size = max_size
        self._cork = cork
        self._socket: Any = None  # the package's WebSocketConnection
        self._scope = trio.CancelScope()
        self._settled = trio.Event()  # the handshake came to something
        self._hosted = trio.Event()  # the package's tasks have ended
        self._answered = trio.Event()  # our close frame was answered, or never will be
        self._failure: BaseException | None = None
        self._fault: Ending | None = None  # see `fail`
        self._closing = False
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
        """The package waits for ever for a reply that the end of the stream has overtaken."""
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

    async def read(self) -> Ending:
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
        return self._ending()

    def _ending(self) -> Ending:
        closed = self._socket.closed
        code = 1006 if closed is None else int(closed.code)
        reason = (closed and closed.reason) or ""
        if self._failure is not None or code == 1006:
            cause = self._cork.error or self._failure
            text = str(cause) if cause else "the stream ended without a close frame"
            return Ending("loss", 1006, text, cause)
        if not self._cork.close_sent:
            # A fault of the peer's; the package shows it as the peer's close, and sends nothing.
            self.fail(code, reason)
            return Ending("us", code, reason)
        if code == 1009 and reason == f"Exceeded maximum message size: {self._max_size} bytes":
            return Ending("us", code, f"a message is over max_size, {self._max_size:,} bytes")
        return Ending("peer", code, reason)

    async def read_on(self) -> None:
        self._scope.cancel()
        await self._hosted.wait()  # two tasks can not read one stream
        try:
            while await self._wire.receive():
                pass
        except OSError:
            pass

    def _join_parts(self) -> None:
        """The package keeps each fragment of a message by itself, and empty ones for ever: a list
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
    def progress(self) -> float:
        # The package takes some 50 µs for a message, so a batch of them takes its time, too.
        return max(self._wire.progress, self._framed_at)

    async def write(self, batch: Sequence[Outgoing]) -> None:
        cork = self._cork
        cork.owned = True
        try:
            self._batch.extend(batch)
            await cork.flush()
            while self._batch and self._fault is None:  # behind a close frame comes nothing
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
        with suppress(package.ConnectionClosed):
            await self._socket.ping(bytes(payload))
            self._sink.ponged(payload)

    def close(self, code: int, reason: str) -> None:
        if not self._closing and self._socket.closed is None:
            self._closing = True
            self._start_soon(self._close, code, reason)

    def fail(self, code: int, reason: str) -> None:
        self._fault = Ending("us", code, reason)
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
            farewell(self._wire, bytes(self._cork.buffer), unsent, self._frame)

    async def aclose(self) -> None:
        self._scope.cancel()
        await self._wire.aclose()


class TrioWebSocket(PackagedWebSocket):
    """A client."""

    def __init__(self, nursery: trio.Nursery, wire: Wire, request: Request, sink: Sink) -> None:
        super().__init__(nursery, wire, sink, Cork(wire, sink), request.max_size)
        self._request = request
        self._host_header, self._fields = request.fields()

    async def _handshake(self) -> Any:
        return await package.wrap_client_stream(
            self._tasks,
            self._cork,  # type: ignore[arg-type]  # any stream will do
            self._host_header,
            self._request.address.resource,
            subprotocols=self._request.subprotocols,
            extra_headers=self._fields,
            message_queue_size=0,
            max_message_size=self._max_size,
        )

    def _raise_failure(self) -> NoReturn:
        exc = self._failure
        while isinstance(exc, BaseExceptionGroup):
            exc = exc.exceptions[0]
        if self._cork.error is not None:
            raise self._cork.error
        status = re.match(rb"HTTP/1\.\d (\d{3})([^\r\n]*)", self._cork.head)
        if status is not None and status[1] != b"101":
            phrase = status[2].decode("latin-1").strip()
            body = getattr(exc, "body", None) or self._cork.head.partition(b"\r\n\r\n")[2]
            raise refusal(int(status[1]), phrase, body, cause=exc)
        if exc is not None:
            raise Rejected(f"the handshake failed: {exc or type(exc).__name__}", cause=exc)
        if self._cork.head:
            raise Rejected("the handshake failed: the reply is not a WebSocket's")
        raise Rejected("the server closed the stream before it answered")
