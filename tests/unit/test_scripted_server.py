"""The scripted peer, against clients that are not ours."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import msgpack
import pytest
import sniffio
import trio
import trio_websocket
import websockets.asyncio.client
import websockets.trio.client
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.frames import Opcode
from websockets.uri import parse_uri

from tests.scripted_server import (
    MemoryPeer,
    PeerConnection,
    encode_frame,
    event_frame,
    memory_peer,
    serve_peer,
)

DEADLINE = 60.0  # seconds; only broken code gets there


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def connect(uri: str, **kwargs: Any) -> Any:
    on_trio = sniffio.current_async_library() == "trio"
    module: Any = websockets.trio.client if on_trio else websockets.asyncio.client
    return module.connect(uri, **{"proxy": None, "ping_interval": None, **kwargs})


async def close(client: Any, code: int, reason: str) -> None:
    method = client.aclose if hasattr(client, "aclose") else client.close
    await method(code, reason)


async def accept_and_sleep(conn: PeerConnection) -> None:
    await conn.accept()
    await anyio.sleep_forever()


class RawClient:
    """TCP and the handshake, and from there on bytes: for what a proper client does not do."""

    def __init__(self, tcp: anyio.abc.SocketStream) -> None:
        self.tcp = tcp
        self.protocol = ClientProtocol(parse_uri("ws://127.0.0.1"))

    async def handshake(self) -> bytes:
        """Returns the first segment of the reply."""
        self.protocol.send_request(self.protocol.connect())
        await self.send()
        reply = await self.tcp.receive()
        self.protocol.receive_data(reply)
        return reply

    async def send(self) -> None:
        for data in self.protocol.data_to_send():
            await self.tcp.send(data)

    async def receive_all(self) -> None:
        await self.handshake()
        while True:
            await self.tcp.receive()

    async def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += await self.tcp.receive(count - len(data))
        return data


@asynccontextmanager
async def raw_client(port: int) -> AsyncIterator[RawClient]:
    async with await anyio.connect_tcp("127.0.0.1", port) as tcp:
        yield RawClient(tcp)


# --- handshake -------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_trailing_bytes_share_the_segment_of_the_handshake() -> None:
    event = {"etype": "SET", "data": [1, 2]}

    async def script(conn: PeerConnection) -> None:
        await conn.accept({"X-Peer": "scripted"}, trailing=event_frame(event))

    with anyio.fail_after(DEADLINE):
        async with serve_peer(script) as peer:
            async with raw_client(peer.port) as raw:
                reply = await raw.handshake()
                assert reply.startswith(b"HTTP/1.1 101 ")
                assert reply.endswith(b"\r\n\r\n" + event_frame(event))
            async with connect(peer.uri) as client:
                assert client.response.headers["X-Peer"] == "scripted"
                assert msgpack.unpackb(await client.recv()) == event


@pytest.mark.anyio
async def test_the_request_is_on_record() -> None:
    with anyio.fail_after(DEADLINE):
        async with (
            serve_peer() as peer,
            connect(f"{peer.uri}/path?x=1", additional_headers={"X-Token": "secret"}),
        ):
            request = await (await peer.connection()).wait_request()
            assert request.path == "/path?x=1"
            assert request.headers["X-Token"] == "secret"


@pytest.mark.anyio
async def test_rejection() -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.reject(403, "no entry", {"Retry-After": "7"})

    with anyio.fail_after(DEADLINE):
        async with serve_peer(script) as peer:
            with pytest.raises(InvalidStatus) as raised:
                async with connect(peer.uri):
                    pass
            assert raised.value.response.status_code == 403
            assert raised.value.response.body == b"no entry"
            assert raised.value.response.headers["Retry-After"] == "7"


@pytest.mark.anyio
async def test_a_client_that_leaves_before_its_request_ends_the_script_quietly() -> None:
    with anyio.fail_after(DEADLINE):
        async with serve_peer(accept_and_sleep) as peer:
            async with raw_client(peer.port) as raw:
                await raw.tcp.send(b"GET / HTTP/1.1\r\n")
            await (await peer.connection()).wait_disconnected()
            await peer.join()
            assert peer.connections[0].request is None


# --- messages --------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("compression", [False, True])
async def test_messages_both_ways(compression: bool) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        assert await conn.recv() == b"binary"
        assert await conn.recv() == "text"
        assert await conn.recv_event() == {"etype": "X"}
        await conn.send(b"b" * 100_000)
        await conn.send_text("t")
        await conn.send_event({"etype": "Y"})
        await conn.close(4000, "over")
        assert await conn.recv() is None

    with anyio.fail_after(DEADLINE):
        async with (
            serve_peer(script, compression=compression) as peer,
            connect(peer.uri) as client,
        ):
            conn = await peer.connection()
            await client.send([b"bin", b"ary"])  # in fragments
            await client.send("text")
            await client.send(msgpack.packb({"etype": "X"}))
            assert await client.recv() == b"b" * 100_000
            assert await client.recv() == "t"
            assert msgpack.unpackb(await client.recv()) == {"etype": "Y"}
            with pytest.raises(ConnectionClosedError, match="4000"):
                await client.recv()
            await peer.join()
            await conn.wait_disconnected()
            assert (conn.close_code, conn.close_reason) == (4000, "over")
            assert (conn.eof, conn.reset, conn.protocol_error) == (True, False, None)
            assert len(conn.messages) == 3
            assert bool(conn.protocol.extensions) == compression


@pytest.mark.anyio
async def test_fragments_with_a_ping_between() -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send_fragments([b"ab", b"", b"cd"], ping_between=True)
        await conn.send_fragments([b"whole"])
        await conn.wait_until(lambda: len(conn.pongs) == 2)

    with anyio.fail_after(DEADLINE):
        async with serve_peer(script) as peer, connect(peer.uri) as client:
            assert await client.recv() == b"abcd"
            assert await client.recv() == b"whole"
            await peer.join()
            assert peer.connections[0].pongs == [b"between", b"between"]


@pytest.mark.anyio
async def test_fragments_on_the_wire() -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.send_fragments([b"ab", b"c"], ping_between=True)
        await conn.send_raw(b"\xff\xff")

    expected = b"\x02\x02ab" + b"\x89\x07between" + b"\x80\x01c" + b"\xff\xff"
    with anyio.fail_after(DEADLINE):
        async with serve_peer(script) as peer, raw_client(peer.port) as raw:
            head, _, rest = (await raw.handshake()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert rest + await raw.receive(len(expected) - len(rest)) == expected


def test_encode_frame() -> None:
    assert encode_frame(Opcode.BINARY, b"ab") == b"\x82\x02ab"
    assert encode_frame(Opcode.TEXT, b"\xff", fin=False) == b"\x01\x01\xff"
    assert encode_frame(Opcode.CLOSE) == b"\x88\x00"


# --- switches --------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_pong_is_sent_when_the_script_says() -> None:
    async def script(conn: PeerConnection) -> None:
        conn.auto_pong = False
        await conn.accept()
        assert await conn.recv() == b"after the ping"
        await conn.send(b"not answered")
        await conn.recv()
        await conn.pong(conn.keepalive[0])

    with anyio.fail_after(DEADLINE):
        async with serve_peer(script) as peer, connect(peer.uri) as client:
            pong = await client.ping(b"are you there?")
            await client.send(b"after the ping")
            assert await client.recv() == b"not answered"
            # a pong would have come before the message
            assert not (pong.is_set() if isinstance(pong, trio.Event) else pong.done())
            await client.send(b"go on")
            await (pong.wait() if isinstance(pong, trio.Event) else pong)
            assert peer.connections[0].keepalive == [b"are you there?"]


@pytest.mark.anyio
async def test_pings_are_answered_after_the_script_has_returned() -> None:
    with anyio.fail_after(DEADLINE):
        async with serve_peer() as peer, connect(peer.uri) as client:
            await peer.join()
            pong = await client.ping()
            await (pong.wait() if isinstance(pong, trio.Event) else pong)


@pytest.mark.anyio
async def test_a_close_that_is_never_answered() -> None:
    async def script(conn: PeerConnection) -> None:
        conn.answer_close = False
        await conn.accept()
        await anyio.sleep_forever()

    with anyio.fail_after(DEADLINE):
        async with serve_peer(script) as peer, raw_client(peer.port) as raw:
            conn = await peer.connection()
            await raw.handshake()
            raw.protocol.send_ping(b"")
            raw.protocol.send_close(1000, "bye")
            await raw.send()
            await conn.wait_ended()
            assert (conn.close_code, conn.close_reason) == (1000, "bye")
            assert await conn.recv() is None
            assert not conn.eof
            # TCP is still open both ways: the pong is all that comes, and sending works
            assert await raw.receive(2) == b"\x8a\x00"
            await conn.send_raw(b"still here")
            assert await raw.receive(10) == b"still here"


@pytest.mark.anyio
async def test_a_client_gives_up_on_an_unanswered_close() -> None:
    async def script(conn: PeerConnection) -> None:
        conn.answer_close = False
        await accept_and_sleep(conn)

    with anyio.fail_after(DEADLINE):
        async with serve_peer(script) as peer:
            async with connect(peer.uri, close_timeout=0.05):
                pass
            conn = peer.connections[0]
            await conn.wait_disconnected()
            assert (conn.close_code, conn.protocol.close_rcvd is not None) == (1000, True)


@pytest.mark.anyio
async def test_stop_reading_is_felt_by_the_client() -> None:
    with anyio.fail_after(DEADLINE):
        async with (
            serve_peer(receive_buffer=4096) as peer,
            connect(peer.uri, compression=None) as client,
        ):
            await peer.join()
            conn = peer.connections[0]
            conn.stop_reading()
            size = 8 << 20  # bytes; more than both ends buffer

            sent = anyio.Event()

            async def send() -> None:
                await client.send(bytes(size))
                sent.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                before = conn.bytes_received
                await anyio.wait_all_tasks_blocked()
                assert conn.bytes_received == before
                assert not sent.is_set()
                conn.resume_reading()
            message = await conn.recv()
            assert message is not None
            assert len(message) == size


# --- endings ---------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("tls", [False, True])
async def test_the_client_closes(tls: bool) -> None:
    with anyio.fail_after(DEADLINE):
        async with serve_peer(tls=tls) as peer:
            async with connect(peer.uri, ssl=peer.client_ssl_context) as client:
                await client.send(b"x")
                await close(client, 3001, "done")
            conn = peer.connections[0]
            await conn.wait_disconnected()
            assert (conn.close_code, conn.close_reason) == (3001, "done")
            assert conn.messages == [b"x"]
            assert conn.protocol_error is None


@pytest.mark.anyio
@pytest.mark.parametrize("tls", [False, True])
async def test_the_peer_closes(tls: bool) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.close(1001, "restart")
        await conn.wait_disconnected()

    with anyio.fail_after(DEADLINE):
        async with serve_peer(script, tls=tls) as peer:
            async with connect(peer.uri, ssl=peer.client_ssl_context) as client:
                with pytest.raises(ConnectionClosedOK, match="1001"):
                    await client.recv()
            await peer.join()
            assert peer.connections[0].close_code == 1001


@pytest.mark.anyio
@pytest.mark.parametrize("tls", [False, True])
async def test_tcp_ends_without_a_close(tls: bool) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.end_tcp()

    with anyio.fail_after(DEADLINE):
        async with serve_peer(script, tls=tls) as peer:
            async with connect(peer.uri, ssl=peer.client_ssl_context) as client:
                with pytest.raises(ConnectionClosedError, match="no close frame received"):
                    await client.recv()
            await peer.join()
            await peer.connections[0].wait_disconnected()
            assert peer.connections[0].close_code is None


@pytest.mark.anyio
async def test_abort_resets_tcp() -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.abort()
        await conn.send(b"into the void")  # ends the script, and is no error

    with anyio.fail_after(DEADLINE):
        async with serve_peer(script) as peer, raw_client(peer.port) as raw:
            with pytest.raises(anyio.BrokenResourceError) as raised:
                await raw.receive_all()
            assert isinstance(raised.value.__cause__, ConnectionResetError)
            await peer.join()


@pytest.mark.anyio
async def test_abort_under_tls() -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.recv()  # the client has read the 101, which a reset might destroy
        await conn.abort()

    with anyio.fail_after(DEADLINE):
        async with (
            serve_peer(script, tls=True) as peer,
            connect(peer.uri, ssl=peer.client_ssl_context) as client,
        ):
            await client.send(b"x")
            with pytest.raises(ConnectionClosedError):
                await client.recv()


@pytest.mark.anyio
async def test_what_a_client_does_wrong_is_on_record() -> None:
    with anyio.fail_after(DEADLINE):
        async with serve_peer() as peer, raw_client(peer.port) as raw:
            await raw.handshake()
            await raw.tcp.send(encode_frame(Opcode.BINARY, b"unmasked"))
            conn = await peer.connection()
            await conn.wait_until(lambda: conn.protocol_error)
            assert "masking" in str(conn.protocol_error)
            assert (await raw.receive(4))[2:] == b"\x03\xea"  # Close 1002


@pytest.mark.anyio
async def test_eof_without_close_is_no_protocol_error() -> None:
    with anyio.fail_after(DEADLINE):
        async with serve_peer() as peer:
            async with raw_client(peer.port) as raw:
                await raw.handshake()
                await peer.join()
            conn = peer.connections[0]
            assert await conn.recv() is None
            assert (conn.eof, conn.close_code, conn.protocol_error) == (True, None, None)


# --- serving ---------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_untrusted_certificate() -> None:
    with anyio.fail_after(DEADLINE):
        async with serve_peer(tls=True) as peer:
            with pytest.raises((ssl.SSLError, trio.BrokenResourceError)):
                async with connect(peer.uri, ssl=ssl.create_default_context()):
                    pass
            assert not peer.connections


@pytest.mark.anyio
async def test_the_same_port_again() -> None:
    with anyio.fail_after(DEADLINE):
        async with serve_peer() as first, connect(first.uri):
            pass
        async with serve_peer(port=first.port) as second:
            assert second.uri == first.uri
            async with connect(second.uri):
                pass
            assert len(second.connections) == 1


@pytest.mark.anyio
async def test_a_failed_assertion_in_a_script_fails_the_test() -> None:
    async def script(conn: PeerConnection) -> None:
        raise AssertionError("as scripted")

    with anyio.fail_after(DEADLINE):
        with pytest.raises(ExceptionGroup) as raised:
            async with serve_peer(script) as peer, raw_client(peer.port):
                await anyio.sleep_forever()
        assert raised.group_contains(AssertionError, match="as scripted")


@pytest.mark.anyio
async def test_what_the_body_raises_comes_as_it_is() -> None:
    error = ValueError("of the body")
    with anyio.fail_after(DEADLINE):
        with pytest.raises(ValueError, match="of the body") as raised:
            async with serve_peer(accept_and_sleep) as peer, connect(peer.uri):
                raise error
        assert raised.value is error


@pytest.mark.anyio
async def test_leaving_cancels_a_script_that_waits_and_closes_its_socket() -> None:
    with anyio.fail_after(DEADLINE):
        async with serve_peer(accept_and_sleep) as peer:
            tcp = await anyio.connect_tcp("127.0.0.1", peer.port)
            conn = await peer.connection()
        async with tcp:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await tcp.receive()
        assert not conn.finished


@pytest.mark.anyio
@pytest.mark.parametrize("tls", [False, True])
async def test_cancellation(tls: bool) -> None:
    with anyio.fail_after(DEADLINE):
        with anyio.CancelScope() as scope:
            async with (
                serve_peer(accept_and_sleep, tls=tls) as peer,
                connect(peer.uri, ssl=peer.client_ssl_context),
            ):
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught


# --- memory ----------------------------------------------------------------------------------


@asynccontextmanager
async def memory_client(peer: MemoryPeer) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    stream: Any = peer.stream  # annotated too narrowly over there
    async with trio.open_nursery() as nursery:
        client = await trio_websocket.wrap_client_stream(nursery, stream, "memory.test", "/")
        yield client
        await client.aclose()


@pytest.mark.trio
async def test_memory(autojump_clock: trio.testing.MockClock) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        assert await conn.recv() == b"ping"
        await trio.sleep(3600)
        await conn.send(b"pong")

    async with memory_peer(script) as peer, memory_client(peer) as client:
        start = trio.current_time()
        await client.send_message(b"ping")
        assert await client.get_message() == b"pong"
        assert trio.current_time() - start == 3600
    assert peer.conn.close_code == 1000
    assert (peer.conn.finished, peer.conn.protocol_error) == (True, None)


@pytest.mark.trio
async def test_memory_byte_by_byte(autojump_clock: trio.testing.MockClock) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept(trailing=event_frame({"etype": "SET"}))

    async with memory_peer(script, max_read=1) as peer, memory_client(peer) as client:
        assert msgpack.unpackb(await client.get_message()) == {"etype": "SET"}


@pytest.mark.trio
async def test_memory_ends_without_a_close(autojump_clock: trio.testing.MockClock) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.recv()
        await conn.abort()

    async with memory_peer(script) as peer, memory_client(peer) as client:
        await client.send_message(b"x")
        with pytest.raises(trio_websocket.ConnectionClosed):
            await client.get_message()


@pytest.mark.trio
async def test_memory_has_the_trailing_bytes_in_the_same_read(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(conn: PeerConnection) -> None:
        await conn.accept(trailing=b"trailing")

    protocol = ClientProtocol(parse_uri("ws://memory.test"))
    protocol.send_request(protocol.connect())
    async with memory_peer(script) as peer:
        await peer.stream.send_all(b"".join(protocol.data_to_send()))
        assert (await peer.stream.receive_some()).endswith(b"\r\n\r\ntrailing")
