"""An incoming request: an accepted stream whose HTTP request has been read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .._net.byte_stream import ByteStream
from .._net.http_request import HttpRequest, read_body
from .._net.rejection import Rejected
from .._net.tls_stream import TLSStream
from .._runtime import Runtime
from .transport import Sink, Transport
from .upgrade import find_fault, response, switching

if TYPE_CHECKING:
    from .._async_types import Nursery

__all__ = ["IncomingRequest", "reply"]

#: seconds for a peer to take a reply, and leave, before the stream is closed
LINGER = 1.0
#: bytes; the step of a long body
_SLICE = 65_536

#: gives the next bytes of a body
Read = Callable[[], Awaitable[bytes]]


class IncomingRequest:
    """Either `answer` or `accept` it, once; or neither, and the stream is closed."""

    def __init__(
        self,
        rt: Runtime,
        transport: str,
        stream: ByteStream,
        request: HttpRequest,
        early: bytes,
        peer: str,
        secure: bool,
        host: str | None,
        *,
        max_size: int,
        timeout: float,
    ) -> None:
        self.request = request
        #: for logs: "127.0.0.1:51234"
        self.peer = peer
        #: the address alone; None for a stream that has none
        self.host = host
        #: whether TLS is spoken
        self.secure = secure
        #: what `answer` or `accept` raised, if anything
        self.failure: Exception | None = None
        #: of the answer that opens the WebSocket
        self.reply_headers: Sequence[tuple[str, str]] = ()
        self._rt = rt
        self._transport = transport
        self._stream = stream
        self._early = early
        self._max_size = max_size
        self._timeout = timeout
        self._done = False

    @property
    def wants_websocket(self) -> bool:
        """Whether an upgrade is asked for. `accept` looks whether it is a good one."""
        return "websocket" in self.request.tokens("upgrade")

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The client's certificate, if it had to show one."""
        return self._stream.peer_certificate() if isinstance(self._stream, TLSStream) else None

    async def read_body(self, limit: int) -> bytes:
        """The request's body, once, and before the answer.

        Raises BadRequest, whose ``status`` is to be answered (413 over ``limit`` bytes), and
        OSError (TimeoutError after ``handshake_timeout``). Cancelled: only closing may follow.
        """
        early, self._early = self._early, b""
        try:
            with self._rt.move_on_after(self._timeout):
                return await read_body(self._stream, self.request, early, limit)
            raise TimeoutError(f"{self.peer} did not send the body of its request")
        except OSError as exc:
            self.failure = exc
            raise

    def take(self) -> tuple[ByteStream, bytes]:
        """The stream, and what of it came behind the request: for who answers by other means.

        `answer` may follow while nothing has been written, and `part` when that is done. The stream
        is closed as ever.
        """
        early, self._early = self._early, b""
        return self._stream, early

    async def answer(
        self, status: int, headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        """Send a whole reply, and wait a moment for the peer to leave: the stream ends here.

        To a HEAD request the body is left out. Raises OSError (TimeoutError when nothing of the
        reply was taken for ``handshake_timeout``) and, for an invalid header, ValueError.
        Cancelled: the reply may be cut.
        """
        head = response(status, headers, len(body))
        if self.request.method == "HEAD":
            body = b""
        self._begin()
        try:
            await reply(self._rt, self._stream, head, self._timeout, body)
        except OSError as exc:
            self.failure = exc
            raise

    async def send(
        self,
        status: int,
        headers: Sequence[tuple[str, str]],
        size: int | None,
        read: Read | None = None,
    ) -> None:
        """Send a reply whose body has ``size`` bytes, slice by slice; `part` is to follow.

        ``read()`` gives the next bytes; without it only the head is sent, as HEAD wants it.
        ``size`` None: until it gives none. Raises as `answer`, and OSError when ``read`` does or
        has no more too early. Cancelled: the reply is cut.
        """
        data = response(status, headers, size)
        self._begin()
        try:
            while size != 0 and read is not None:
                body = (await read())[:size]
                if size is not None:
                    size -= len(body)
                if not body:
                    if size is None:
                        break
                    raise ConnectionAbortedError("the body is shorter than it was")
                await _write(self._rt, self._stream, data + body, self._timeout)
                data = b""
            if data:
                await _write(self._rt, self._stream, data, self._timeout)
        except OSError as exc:
            self.failure = exc
            raise

    async def part(self) -> None:
        """After `send`, or `take`: wait a moment for the peer to leave."""
        await _linger(self._rt, self._stream)

    async def accept(
        self, sink: Sink, nursery: Nursery, headers: Sequence[tuple[str, str]] = ()
    ) -> Transport:
        """Open the WebSocket; ``nursery`` carries what tasks it needs.

        Its first frames may have arrived; ``sink`` hears of them when `Transport.read` is called.
        Raises Rejected after a bad upgrade has been answered, and OSError (TimeoutError after
        ``handshake_timeout``). Cancelled: the stream is of no more use.
        """
        fault = find_fault(self.request)
        try:
            if fault is not None:
                plain = ("content-type", "text/plain; charset=utf-8")
                await self.answer(fault.status, [*fault.headers, plain], f"{fault.why}\n".encode())
                raise Rejected(f"a bad upgrade: {fault.why}", status=fault.status)
            self._begin()
            return await self._open(sink, nursery, headers)
        except (OSError, Rejected) as exc:
            self.failure = exc
            raise

    async def _open(
        self, sink: Sink, nursery: Nursery, headers: Sequence[tuple[str, str]]
    ) -> Transport:
        stream, max_size, early = self._stream, self._max_size, self._early
        answer = switching(self.request, headers)
        # Imported here: a program pays for one of them, and only for a connection.
        from .protocol import WebSocketProtocol
        from .server_stream_transport import ServerStreamTransport

        protocol: WebSocketProtocol
        if self._transport == "trio-websocket":
            from .trio_websocket_protocol import TrioWebSocketServerProtocol

            protocol = TrioWebSocketServerProtocol(nursery, sink, max_size)
        elif self._transport == "websockets":
            from .websockets_protocol import WebsocketsServerProtocol

            protocol = WebsocketsServerProtocol(max_size)
        else:
            from .wsproto_protocol import WsprotoServerProtocol

            protocol = WsprotoServerProtocol(max_size)
        sent = stream.try_send(answer)
        if sent < len(answer):
            await self._in_time(stream.send_all(answer[sent:]))
        return ServerStreamTransport(stream, protocol, sink, max_size, early)

    async def _in_time(self, answering: Awaitable[None]) -> None:
        with self._rt.move_on_after(self._timeout):
            return await answering
        raise TimeoutError(f"{self.peer} did not take the reply to its handshake")

    def _begin(self) -> None:
        if self._done:
            raise RuntimeError("this request has been answered")
        self._done = True


async def reply(
    rt: Runtime, stream: ByteStream, head: bytes, timeout: float, body: bytes = b""
) -> None:
    """Write a last reply; ``timeout`` bounds the seconds without progress. Raises OSError."""
    await _write(rt, stream, head + body[:_SLICE], timeout)
    await _write(rt, stream, body[_SLICE:], timeout)
    await _linger(rt, stream)


async def _write(rt: Runtime, stream: ByteStream, data: bytes, timeout: float) -> None:
    view = memoryview(data)
    for start in range(0, len(data), _SLICE):  # not in one: a body may be large
        with rt.move_on_after(timeout) as scope:
            await stream.send_all(view[start : start + _SLICE])
        if scope.cancelled_caught:
            raise TimeoutError("the peer did not take the reply")


async def _linger(rt: Runtime, stream: ByteStream) -> None:
    # Closing with unread data would reset the stream, and destroy what was just sent (RFC 9112
    # §9.6): what the peer still sends, a body perhaps, is read and dropped.
    with suppress(OSError), rt.move_on_after(LINGER):
        await stream.send_eof()
        while await stream.receive():
            pass
