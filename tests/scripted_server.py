"""A scripted WebSocket server for tests: it does what the script says, right or wrong.

The WebSocket side is `websockets.server.ServerProtocol`, the I/O is anyio's, so one script runs on
Trio and on asyncio. Nothing is answered behind the script's back unless a switch allows it, and
everything the client did is on record:

    async def script(conn: PeerConnection) -> None:
        await conn.accept(trailing=event_frame({"etype": "SET", "data": 1}))
        assert await conn.recv() == b"..."
        await conn.close(1000)

    async with serve_peer(script) as peer, open_vuer_client(peer.uri) as client: ...

A script that returns leaves the connection open: pings and Close are still answered. A script that
raises fails the test, except that it may be left by BrokenResourceError when the client is gone.
Leaving the block cancels the scripts: `await peer.join()` first where their last asserts matter.
"""

from __future__ import annotations

import functools
import itertools
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import msgpack
import trio
import trio.testing
import trustme
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream
from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, SEND_EOF
from websockets.server import ServerProtocol

from vuer_trio._net.in_memory import host_inside
from vuer_trio.testing import Split, faulty, memory_stream_pair

_READ_SIZE = 65536  # bytes
_numbers = itertools.count(1)  # of hosts in memory


def encode_frame(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """One frame as a server puts it on the wire, legal or not; for `send_raw` and `trailing`."""
    return Frame(opcode, payload, fin).serialize(mask=False)


def event_frame(event: Mapping[str, Any]) -> bytes:
    return encode_frame(Opcode.BINARY, msgpack.packb(event))


class PeerConnection:
    """One client's connection, seen from the server."""

    def __init__(self, stream: ByteStream, protocol: ServerProtocol) -> None:
        self.stream = stream
        self.protocol = protocol
        # switches
        self.auto_pong = True
        self.answer_close = True
        # what the client did
        self.request: Request | None = None
        self.messages: list[bytes | str] = []
        self.keepalive: list[bytes] = []
        self.pongs: list[bytes] = []
        self.bytes_received = 0
        self.eof = False  # the client ended its side of TCP
        self.reset = False  # the client reset TCP, or left TLS without its close_notify
        # how far the script is
        self.finished = False
        self._taken = 0
        self._partial: list[bytes] = []
        self._partial_opcode = Opcode.BINARY
        self._reading = anyio.Event()
        self._reading.set()
        self._receive_scope: anyio.CancelScope | None = None
        self._reader_done = False
        self._replies: deque[bytes] = deque()
        self._write_lock = anyio.Lock()  # FIFO, so the wire has the order of the calls
        self._changed = anyio.Event()

    # --- handshake ---------------------------------------------------------------------------

    async def wait_request(self) -> Request:
        await self.wait_until(lambda: self.request is not None or self._reader_done)
        if self.request is None:
            raise anyio.BrokenResourceError("the client left before its request was complete")
        return self.request

    async def accept(
        self, extra_headers: Mapping[str, str] | None = None, trailing: bytes = b""
    ) -> None:
        """Answer 101; `trailing` goes out in the same write, hence in the same segment."""
        request = await self.wait_request()
        if self.protocol.state is not CONNECTING:
            raise anyio.BrokenResourceError("the client left before it was answered")
        response = self.protocol.accept(request)
        if response.status_code != 101:
            raise AssertionError("not a WebSocket handshake") from self.protocol.handshake_exc
        response.headers.update(extra_headers or {})
        self.protocol.send_response(response)
        await self._write(b"".join(self.protocol.data_to_send()) + trailing)

    async def reject(
        self, status: int, body: str = "", extra_headers: Mapping[str, str] | None = None
    ) -> None:
        await self.wait_request()
        response = self.protocol.reject(status, body)
        response.headers.update(extra_headers or {})
        self.protocol.send_response(response)
        await self._write_all(self.protocol.data_to_send())

    # --- receiving ---------------------------------------------------------------------------

    async def wait_until(self, condition: Callable[[], object]) -> None:
        """Park until `condition()` is true; it is asked again after whatever the client does."""
        while not condition():
            await self._changed.wait()
        await anyio.lowlevel.checkpoint()

    async def recv(self) -> bytes | str | None:
        """The next data message, its fragments joined; None when no more can come."""
        await self.wait_until(lambda: self._taken < len(self.messages) or self.ended)
        if self._taken == len(self.messages):
            return None
        self._taken += 1
        return self.messages[self._taken - 1]

    async def recv_event(self) -> dict[str, Any] | None:
        message = await self.recv()
        if message is None:
            return None
        assert isinstance(message, bytes), f"an event in a text frame: {message!r}"
        event = msgpack.unpackb(message)
        assert isinstance(event, dict), f"an event that is no map: {event!r}"
        return event

    async def wait_ended(self) -> None:
        """Park until the client sent Close or ended TCP."""
        await self.wait_until(lambda: self.ended)

    async def wait_disconnected(self) -> None:
        """Park until TCP has ended."""
        await self.wait_until(lambda: self._reader_done)

    async def wait_finished(self) -> None:
        """Park until the script has returned."""
        await self.wait_until(lambda: self.finished)

    def stop_reading(self) -> None:
        """Leave what the client sends in the kernel, so that the client feels backpressure."""
        self._reading = anyio.Event()
        if self._receive_scope is not None:
            self._receive_scope.cancel()

    def resume_reading(self) -> None:
        self._reading.set()

    @property
    def ended(self) -> bool:
        return self._reader_done or self.protocol.close_rcvd is not None

    @property
    def close_code(self) -> int | None:
        """The code in the client's Close frame (1005 if it had none); None without the frame."""
        return None if self.protocol.close_rcvd is None else int(self.protocol.close_rcvd.code)

    @property
    def close_reason(self) -> str | None:
        return None if self.protocol.close_rcvd is None else self.protocol.close_rcvd.reason

    @property
    def protocol_error(self) -> Exception | None:
        """How the client broke RFC 6455, if it did."""
        error = self.protocol.parser_exc
        return None if isinstance(error, EOFError) else error

    # --- sending -----------------------------------------------------------------------------

    async def send(self, payload: bytes) -> None:
        await self._send_with(self.protocol.send_binary, payload)

    async def send_text(self, text: str) -> None:
        await self._send_with(self.protocol.send_text, text.encode())

    async def send_event(self, event: Mapping[str, Any]) -> None:
        await self.send(msgpack.packb(event))

    async def send_fragments(
        self, fragments: Iterable[bytes], *, ping_between: bool = False
    ) -> None:
        """One binary message as one frame per fragment, each in a write of its own."""
        *first, last = fragments
        send: Callable[[bytes, bool], None] = self.protocol.send_binary
        for payload in first:
            await self._send_with(send, payload, False)
            if ping_between:
                await self.ping(b"between")
            send = self.protocol.send_continuation
        await self._send_with(send, last, True)

    async def send_raw(self, data: bytes) -> None:
        """Any bytes, past the protocol."""
        await self._write(data)

    async def ping(self, payload: bytes = b"") -> None:
        await self._send_with(self.protocol.send_ping, payload)

    async def pong(self, payload: bytes) -> None:
        await self._send_with(self.protocol.send_pong, payload)

    # --- leaving -----------------------------------------------------------------------------

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send Close and go on; TCP ends after the client's Close. `wait_ended` waits for that."""
        await self._send_with(self.protocol.send_close, code, reason)

    async def end_tcp(self) -> None:
        """End this side of TCP (or all of TLS) without a Close frame."""
        await self._write(SEND_EOF)

    async def abort(self) -> None:
        """Reset TCP; over memory, end both directions."""
        transport: anyio.abc.AsyncResource = self.stream
        if isinstance(transport, TLSStream):
            transport = transport.transport_stream
        if isinstance(transport, _SocketStream):
            transport.reset_on_close()
        await transport.aclose()

    # --- inside ------------------------------------------------------------------------------

    async def _send_with(self, method: Callable[..., None], *args: Any) -> None:
        try:
            method(*args)
        except InvalidState as exc:
            raise anyio.BrokenResourceError("the WebSocket is closing or closed") from exc
        await self._write_all(self.protocol.data_to_send())

    async def _write_all(self, writes: Iterable[bytes]) -> None:
        for data in writes:
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        async with self._write_lock:
            if data != SEND_EOF:
                await self.stream.send(data)
            elif isinstance(self.stream, TLSStream):
                await self._end_tls(self.stream)
            else:
                await self.stream.send_eof()

    async def _end_tls(self, stream: TLSStream) -> None:
        # TLS has no half-close here: this sends close_notify and reads up to the client's, so the
        # reader has to let go of the stream first.
        self.stop_reading()
        await self.wait_until(lambda: self._receive_scope is None)
        try:
            await stream.aclose()
            self.eof = True
        except (anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
            self.reset = True  # without its close_notify
        self.resume_reading()  # the reader finds the stream closed, and ends

    async def _run(self, script: Script) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read)
                tasks.start_soon(self._reply)
                await self._run_script(script)
        finally:
            await anyio.aclose_forcefully(self.stream)

    async def _run_script(self, script: Script) -> None:
        try:
            await script(self)
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the client, or `abort`, ended the connection under the script
        self.finished = True
        self._notify()

    async def _read(self) -> None:
        try:
            while True:
                await self._reading.wait()
                with anyio.CancelScope() as self._receive_scope:
                    data = await self.stream.receive(_READ_SIZE)
                cancelled = self._receive_scope.cancelled_caught
                self._receive_scope = None
                if not cancelled:
                    self.bytes_received += len(data)
                    self.protocol.receive_data(data)
                    self._process()
                self._notify()
        except (anyio.EndOfStream, ssl.SSLZeroReturnError):
            self.eof = True
            self.protocol.receive_eof()
            self._process()
        except (anyio.BrokenResourceError, ssl.SSLError):
            self.reset = True
        except anyio.ClosedResourceError:
            pass
        finally:
            self._receive_scope = None
            self._reader_done = True
            self._notify()

    def _process(self) -> None:
        # Only replies can be here: every `send` takes its own bytes in the same step. Each is one
        # whole unmasked frame, so the first byte says which, and a reply can be left unsent.
        for reply in self.protocol.data_to_send():
            opcode = reply[0] & 0x0F if reply else None
            wanted = self.auto_pong if opcode == Opcode.PONG else self.answer_close
            if wanted or self.protocol_error is not None:
                self._replies.append(reply)
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self.request = event
            elif isinstance(event, Frame):
                self._process_frame(event)

    def _process_frame(self, frame: Frame) -> None:
        if frame.opcode == Opcode.PING:
            self.keepalive.append(bytes(frame.data))
        elif frame.opcode == Opcode.PONG:
            self.pongs.append(bytes(frame.data))
        elif frame.opcode != Opcode.CLOSE:
            if frame.opcode != Opcode.CONT:
                self._partial_opcode = frame.opcode
            self._partial.append(bytes(frame.data))
            if frame.fin:
                message = b"".join(self._partial)
                self._partial.clear()
                is_text = self._partial_opcode == Opcode.TEXT
                self.messages.append(message.decode() if is_text else message)

    async def _reply(self) -> None:
        # In a task of its own: a client that does not read its pongs must not stop the reader.
        try:
            while True:
                await self.wait_until(lambda: self._replies or self._reader_done)
                if not self._replies:
                    return
                await self._write(self._replies.popleft())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the reader reports how the client left

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


Script = Callable[[PeerConnection], Coroutine[Any, Any, None]]


async def accept_and_read(conn: PeerConnection) -> None:
    """The script of a server that only listens."""
    await conn.accept()


class Peer:
    """The listening side, and every connection it ever had, in order of arrival."""

    def __init__(self, script: Script, *, compression: bool = False) -> None:
        self.uri = "ws://memory.test"
        self.port = 0
        self.client_ssl_context: ssl.SSLContext | None = None
        self.tls_errors: list[Exception] = []
        self.connections: list[PeerConnection] = []
        self._script = script
        self._extensions = [ServerPerMessageDeflateFactory()] if compression else None
        self._arrived = anyio.Event()

    async def connection(self, index: int = 0) -> PeerConnection:
        """Park until that connection is there (its handshake may still be under way)."""
        while len(self.connections) <= index:
            await self._arrived.wait()
        return self.connections[index]

    async def join(self) -> None:
        """Park until the scripts of all present connections have returned."""
        for conn in list(self.connections):
            await conn.wait_finished()

    async def _serve(self, stream: ByteStream) -> None:
        protocol = ServerProtocol(extensions=self._extensions, max_size=None)
        conn = PeerConnection(stream, protocol)
        self.connections.append(conn)
        self._arrived.set()
        self._arrived = anyio.Event()
        await conn._run(self._script)

    async def _serve_tls(self, transport: ByteStream, context: ssl.SSLContext) -> None:
        try:
            stream = await TLSStream.wrap(transport, server_side=True, ssl_context=context)
        except (ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream) as exc:
            self.tls_errors.append(exc)  # e.g. the client does not trust the certificate
            await transport.aclose()
        except BaseException:
            await anyio.aclose_forcefully(transport)
            raise
        else:
            await self._serve(stream)


class MemoryPeer(Peer):
    stream: trio.abc.Stream  # the client's end
    conn: PeerConnection


@asynccontextmanager
async def serve_peer(
    script: Script = accept_and_read,
    *,
    tls: bool = False,
    compression: bool = False,
    port: int = 0,
    receive_buffer: int | None = None,
) -> AsyncIterator[Peer]:
    """Listen on 127.0.0.1. A small `receive_buffer` (bytes) makes `stop_reading` felt early."""
    peer = Peer(script, compression=compression)
    server_context = _tls_contexts(peer) if tls else None
    with socket.socket() as listener:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer is not None:  # accepted sockets inherit it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        peer.port = listener.getsockname()[1]
        peer.uri = f"wss://localhost:{peer.port}" if tls else f"ws://127.0.0.1:{peer.port}"

        async def accept_clients(tasks: anyio.abc.TaskGroup) -> None:
            while True:
                await anyio.wait_readable(listener)
                try:
                    sock, _ = listener.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    continue  # the client has left the queue
                stream = _SocketStream(sock)
                if server_context is None:
                    tasks.start_soon(peer._serve, stream)
                else:
                    tasks.start_soon(peer._serve_tls, stream, server_context)

        async with _ungrouped(accept_clients):
            yield peer


@asynccontextmanager
async def memory_peer(
    script: Script = accept_and_read,
    *,
    compression: bool = False,
    max_read: int | None = None,
) -> AsyncIterator[MemoryPeer]:
    """The same over memory, on Trio only: exact under MockClock. The client's end is `.stream`.

    With `max_read` the client receives that many bytes at a time at most.
    """
    peer = MemoryPeer(script, compression=compression)
    client_end, server_end = trio.testing.memory_stream_pair()
    peer.stream = client_end
    if max_read is not None:
        peer.stream = faulty(client_end, Split(max_read, least=max_read))

    async def serve(tasks: anyio.abc.TaskGroup) -> None:
        await peer._serve(_MemoryStream(server_end))

    async with _ungrouped(serve):
        peer.conn = await peer.connection()
        yield peer


@asynccontextmanager
async def peer_inside(
    script: Script = accept_and_read,
    *,
    pair: Callable[[], tuple[Any, Any]] = memory_stream_pair,
) -> AsyncIterator[Peer]:
    """The same for any number of connections, on every runtime: dial `Peer.uri`."""
    peer = Peer(script)
    host = f"peer-{next(_numbers)}.memory"
    peer.uri = f"ws://{host}"

    async def serve(tasks: anyio.abc.TaskGroup) -> None:
        async def open_stream() -> Any:
            client_end, server_end = pair()
            if isinstance(server_end, trio.abc.Stream):
                server_end = _MemoryStream(server_end)
            tasks.start_soon(peer._serve, server_end)
            return client_end

        with host_inside(host, open_stream):
            serving.set()
            await anyio.sleep_forever()

    serving = anyio.Event()
    async with _ungrouped(serve):
        await serving.wait()
        yield peer


@asynccontextmanager
async def _ungrouped(
    serve: Callable[[anyio.abc.TaskGroup], Coroutine[Any, Any, None]],
) -> AsyncIterator[None]:
    # The body's own exception reaches the test as it is, so that `pytest.raises` around the block
    # sees it; what a script raised comes as a group.
    body_error: Exception | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, tasks)
            try:
                yield
            except Exception as exc:
                body_error = exc
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as scripts:
        if body_error is not None:
            raise scripts from body_error
        raise
    if body_error is not None:
        raise body_error


@functools.cache
def _certificate_authority() -> trustme.CA:
    return trustme.CA()


def _tls_contexts(peer: Peer) -> ssl.SSLContext:
    authority = _certificate_authority()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server_context)
    peer.client_ssl_context = ssl.create_default_context()
    authority.configure_trust(peer.client_ssl_context)
    return server_context


class _SocketStream(ByteStream):
    """A socket without a buffer of its own: what is not received stays in the kernel.

    anyio's own stream on asyncio reads ahead, and sends FIN before a reset.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock

    async def receive(self, max_bytes: int = _READ_SIZE) -> bytes:
        data: bytes = await self._retry(anyio.wait_readable, lambda: self._sock.recv(max_bytes))
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        rest = memoryview(item)
        while rest:
            sent = await self._retry(anyio.wait_writable, functools.partial(self._sock.send, rest))
            rest = rest[sent:]

    async def _retry(
        self, wait: Callable[[socket.socket], Awaitable[None]], call: Callable[[], Any]
    ) -> Any:
        await anyio.lowlevel.checkpoint()
        while True:
            if self._sock.fileno() < 0:
                raise anyio.ClosedResourceError
            try:
                return call()
            except BlockingIOError:
                await wait(self._sock)
            except OSError as exc:
                raise anyio.BrokenResourceError from exc

    async def send_eof(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as exc:
            raise anyio.BrokenResourceError from exc
        await anyio.lowlevel.checkpoint()

    def reset_on_close(self) -> None:
        linger_on_for_no_time = struct.pack("ii", 1, 0)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_on_for_no_time)

    async def aclose(self) -> None:
        if self._sock.fileno() >= 0:
            anyio.notify_closing(self._sock)
            self._sock.close()
        await anyio.lowlevel.checkpoint()


class _MemoryStream(ByteStream):
    """A Trio stream as an anyio one; the two libraries' exceptions differ."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream

    async def receive(self, max_bytes: int = _READ_SIZE) -> bytes:
        data = await self._translate(self._stream.receive_some, max_bytes)
        if not data:
            raise anyio.EndOfStream
        return bytes(data)

    async def send(self, item: bytes) -> None:
        await self._translate(self._stream.send_all, item)

    async def send_eof(self) -> None:
        await self._translate(self._stream.send_eof)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def _translate(self, method: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        try:
            return await method(*args)
        except trio.BrokenResourceError as exc:
            raise anyio.BrokenResourceError from exc
        except trio.ClosedResourceError as exc:
            raise anyio.ClosedResourceError from exc
