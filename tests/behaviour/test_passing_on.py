"""The proxy between raw streams: what goes in comes out, as it comes, and no faster."""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import h11
import pytest

from tests.behaviour.raw_client import CLOSE, PING, TEXT, masked, request
from tests.recording_files import need_mcap
from tests.recording_proxy import proxy_to, recording_proxy
from tests.scripted_server import Opcode, encode_frame
from vuer_trio import Backoff, ConnectionClosed, ConnectionFailed, Vuer, open_vuer_server
from vuer_trio.events import ClientEvent
from vuer_trio.record import open_recording
from vuer_trio.schemas import Box, DefaultScene

pytestmark = pytest.mark.anyio
DEADLINE = 60  # seconds; only broken code gets there
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSet-Cookie: a=b\r\n\r\n"
)
#: bytes that lie in the buffers of the system and of the proxy
BUFFERS = 128 << 20


class Upstream:
    """A raw server, whose streams a test holds in its hands."""

    def __init__(self) -> None:
        self.port = 0
        self._send, self._streams = anyio.create_memory_object_stream[Any](10)

    @property
    def uri(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def accepted(self) -> tuple[Raw, bytes]:
        """The next stream, and the head of its request."""
        stream = Raw(await self._streams.receive())
        return stream, await stream.until(b"\r\n\r\n")

    async def _handle(self, stream: anyio.abc.ByteStream) -> None:
        await self._send.send(stream)
        await anyio.sleep(math.inf)


class Raw:
    """A stream of bytes."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self.stream = stream
        self.data = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def until(self, end: bytes) -> bytes:
        """What comes up to that, with it."""
        while end not in self.data:
            self.data += await self.stream.receive()
        whole, _, self.data = self.data.partition(end)
        return whole + end

    async def exactly(self, size: int) -> bytes:
        while len(self.data) < size:
            self.data += await self.stream.receive()
        found, self.data = self.data[:size], self.data[size:]
        return found

    async def stop_reading_ahead(self) -> None:
        """On asyncio, anyio reads on from a stream it has accepted, and holds all that comes, until
        a `receive` has had to wait."""
        with anyio.move_on_after(0.01):
            self.data += await self.stream.receive()

    async def rest(self) -> bytes:
        """What comes until the other side ends the stream."""
        try:
            while True:
                self.data += await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            found, self.data = self.data, b""
            return found

    async def aclose(self) -> None:
        await self.stream.aclose()

    async def fill(self, data: bytes) -> int:
        """Send it again and again until nothing is taken any more; how many bytes that were."""
        taken = 0
        while True:
            with anyio.move_on_after(0.5) as scope:
                await self.stream.send(data)
                taken += len(data)
            if scope.cancelled_caught:
                return taken
            assert taken < BUFFERS, "nobody holds the sender back"


@asynccontextmanager
async def raw_upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    upstream.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    with upstream._send, upstream._streams:
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, upstream._handle)
            with anyio.fail_after(DEADLINE):
                yield upstream
            tasks.cancel_scope.cancel()


async def connect(proxy: Any) -> Raw:
    return Raw(await anyio.connect_tcp("127.0.0.1", proxy.port))


async def opened(upstream: Upstream, proxy: Any) -> tuple[Raw, Raw]:
    """Both ends of an open WebSocket: the client's and the server's."""
    client = await connect(proxy)
    await client.send(request())
    server, _ = await upstream.accepted()
    await server.send(SWITCHING)
    await client.until(b"\r\n\r\n")
    return client, server


# ---- WebSockets


async def test_a_websocket_is_passed_on_byte_for_byte(backend, tmp_path):
    need_mcap()
    file = tmp_path / "run.mcap"
    up = masked(b"binary") + masked("t\u00e9xt".encode(), TEXT) + masked(b"here?", PING)
    up += masked(b"large" * 40_000) + masked(b"frag", fin=False) + masked(b"ment", 0)
    down = encode_frame(Opcode.TEXT, b"text") + encode_frame(Opcode.PONG, b"here?")
    down += encode_frame(Opcode.BINARY, b"x" * 300_000)
    end_up, end_down = masked(b"\x0f\xa1bye", CLOSE), encode_frame(Opcode.CLOSE, b"\x0f\xa1bye")
    async with raw_upstream() as upstream, recording_proxy(upstream.uri, file) as proxy:
        client = await connect(proxy)
        extensions = "Sec-WebSocket-Extensions: permessage-deflate"
        protocol = "Sec-WebSocket-Protocol: a, token.secret"
        # The first frames share a segment with the handshake, on both sides.
        await client.send(request("/p?q=1", extensions, protocol, "Cookie: c=1") + up[:10])
        server, head = await upstream.accepted()
        assert head.startswith(b"GET /p?q=1 HTTP/1.1\r\n")
        assert b"host: localhost\r\n" in head.lower()
        assert b"Sec-WebSocket-Protocol: a, token.secret".lower() in head.lower()
        assert b"cookie: c=1" in head.lower()
        assert b"dGhlIHNhbXBsZSBub25jZQ==" in head
        assert b"x-forwarded-for: 127.0.0.1\r\n" in head.lower()
        assert b"x-forwarded-proto: http\r\n" in head.lower()
        assert b"permessage" not in head
        await server.send(SWITCHING + down[:10])
        answer = await client.until(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"set-cookie: a=b\r\n" in answer.lower()
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, up[10:])
            tasks.start_soon(server.send, down[10:])
            assert await server.exactly(len(up)) == up
            assert await client.exactly(len(down)) == down
        await client.send(end_up)
        assert await server.exactly(len(end_up)) == end_up
        await server.send(end_down)
        assert await client.exactly(len(end_down)) == end_down
        await server.aclose()
        assert await client.rest() == b""
        await client.aclose()
    entries = [(e.direction, e.payload) for e in open_recording(file)]
    assert [payload for way, payload in entries if way == "received"] == [
        b"binary",
        "t\u00e9xt".encode(),
        b"large" * 40_000,
        b"fragment",
    ]
    assert [payload for way, payload in entries if way == "sent"] == [b"text", b"x" * 300_000]


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_slow_side_slows_the_other(backend, way):
    chunk = masked(b"x" * 60_000) if way == "up" else encode_frame(Opcode.BINARY, b"x" * 60_000)
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client, server = await opened(upstream, proxy)
        source, target = (client, server) if way == "up" else (server, client)
        await target.stop_reading_ahead()
        taken = await source.fill(chunk)
        # The other direction goes on meanwhile.
        for ping in (masked(b"1", PING), encode_frame(Opcode.PING, b"2")):
            near, far = (client, server) if ping[1] & 0x80 else (server, client)
            if near is not source:
                await near.send(ping)
                assert await far.exactly(len(ping)) == ping
        whole = await target.exactly(taken)
        assert whole == (chunk * (taken // len(chunk) + 1))[:taken]
        await client.aclose()
        await server.aclose()


@pytest.mark.slow
async def test_a_flood(backend, tmp_path):
    """Of small messages, in both directions at once: all of them arrive, and are in the file."""
    need_mcap()
    file, count = tmp_path / "run.mcap", 20_000
    up = b"".join(masked(b"u%05d" % n) for n in range(count))
    down = b"".join(encode_frame(Opcode.BINARY, b"d%05d" % n) for n in range(count))
    async with raw_upstream() as upstream, recording_proxy(upstream.uri, file) as proxy:
        client, server = await opened(upstream, proxy)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, up)
            tasks.start_soon(server.send, down)

            async def receive() -> None:
                assert await server.exactly(len(up)) == up

            tasks.start_soon(receive)
            assert await client.exactly(len(down)) == down
        await client.aclose()
        await server.aclose()
    found = [entry.payload for entry in open_recording(file)]
    assert sorted(found) == [b"%c%05d" % (way, n) for way in b"du" for n in range(count)]


@pytest.mark.slow
async def test_a_side_that_takes_nothing_is_given_up(backend, caplog):
    chunk = encode_frame(Opcode.BINARY, b"x" * 60_000)
    async with raw_upstream() as upstream, proxy_to(upstream.uri, stall_timeout=0.2) as proxy:
        client, server = await opened(upstream, proxy)
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await server.stream.send(chunk)
        await server.aclose()
        await until(lambda: proxy.open == 0)
        await client.aclose()
    assert "the client has taken nothing for 0.2 s" in caplog.text


async def until(condition: Any) -> None:
    with anyio.fail_after(DEADLINE):
        while not condition():
            await anyio.sleep(0.005)


async def test_a_server_that_vanishes_is_named_in_the_close_code(backend):
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client, server = await opened(upstream, proxy)
        await server.send(encode_frame(Opcode.BINARY, b"last"))
        await server.aclose()
        told = await client.rest()
        last = encode_frame(Opcode.BINARY, b"last")
        assert told == last + encode_frame(
            Opcode.CLOSE, b"\x03\xf4the server behind the proxy is gone"
        )
        await client.aclose()
        # Within a frame nothing else may follow.
        client, server = await opened(upstream, proxy)
        await server.send(last[:-1])
        await server.aclose()
        assert await client.rest() == last[:-1]
        await client.aclose()


async def test_a_client_that_vanishes_is_gone_for_the_server(backend):
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client, server = await opened(upstream, proxy)
        await client.send(masked(b"last"))
        await client.aclose()
        assert await server.rest() == masked(b"last")
        await server.aclose()
        await until(lambda: proxy.open == 0)


@pytest.mark.slow
async def test_the_end_of_the_proxy_is_told_on_both_sides(backend, tmp_path):
    need_mcap()
    file = tmp_path / "run.mcap"
    of_client: list[bytes] = []
    of_server: list[bytes] = []

    async def end(side: Raw, found: list[bytes]) -> None:
        found.append(await side.rest())
        await side.aclose()

    async with raw_upstream() as upstream, anyio.create_task_group() as tasks:
        async with recording_proxy(upstream.uri, file) as proxy:
            client, server = await opened(upstream, proxy)
            await client.send(masked(b"kept"))
            assert await server.exactly(10) == masked(b"kept")
            tasks.start_soon(end, client, of_client)
            tasks.start_soon(end, server, of_server)
    assert of_client == [encode_frame(Opcode.CLOSE, b"\x03\xe9the proxy is going away")]
    assert of_server[0][:2] == bytes([0x88, 0x80 | 25])
    recording = open_recording(file)
    assert recording.complete
    assert [entry.payload for entry in recording] == [b"kept"]


# ---- pages


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"0123456789" * 200)
    (folder / "large.bin").write_bytes(bytes(range(256)) * 4000)
    return folder


def asked(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", *headers, "", ""]).encode() + body


_PREFLIGHT = ("Origin: http://localhost:1", "Access-Control-Request-Method: GET")
REQUESTS = [
    ("GET", "/workspace/a.txt"),
    ("HEAD", "/workspace/a.txt"),
    ("GET", "/workspace/a.txt", "Accept-Encoding: gzip"),
    ("GET", "/workspace/large.bin", "Range: bytes=1000-5000"),
    ("GET", "/workspace/large.bin"),
    ("OPTIONS", "/workspace/a.txt", *_PREFLIGHT),
    ("GET", "/workspace/nothing"),
    ("GET", "/workspace/a.txt", "Origin: http://localhost:1"),
    ("DELETE", "/workspace/a.txt"),
    ("GET", "/stream"),
    ("POST", "/echo", "Content-Length: 5"),
    ("POST", "/echo", "Transfer-Encoding: chunked"),
]  # fmt: skip


async def test_pages_are_what_the_server_gives(backend, new_server, files):
    app = new_server(workspace=files)
    app.add_route("/echo", lambda request: request.body, "POST", "text/plain")
    bodies = {"POST": b"hello"}

    async def ask(port: int) -> list[tuple[list[bytes], bytes]]:
        found = []
        for method, target, *headers in REQUESTS:
            stream = Raw(await anyio.connect_tcp("127.0.0.1", port))
            body = bodies.get(method, b"")
            if "chunked" in "".join(headers):
                body = b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
            await stream.send(asked(method, target, "Host: 127.0.0.1", *headers, body=body))
            whole = await stream.rest()
            await stream.aclose()
            head, _, rest = whole.partition(b"\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"date:")]
            found.append((sorted(line.lower() for line in lines), rest))
        return found

    async with open_vuer_server(app) as server, proxy_to(server.uri) as proxy:
        with anyio.fail_after(DEADLINE):
            direct = await ask(server.port)
            assert await ask(proxy.port) == direct
    answers = b"".join(b"".join(lines) for lines, _ in direct)
    for status in (b"200 ok", b"204 no content", b"206 partial", b"404 not", b"405 method"):
        assert b"http/1.1 " + status in answers
    assert direct[-1][1] == direct[-2][1] == b"hello"


async def test_bodies_stream_both_ways(backend):
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client = await connect(proxy)
        await client.send(
            asked("POST", "/", "Host: localhost", "Transfer-Encoding: chunked", "Te: trailers",
                  "Connection: keep-alive, X-Mine", "X-Mine: 1", "X-Other: 2")
        )  # fmt: skip
        server, head = await upstream.accepted()
        lines = head.lower().split(b"\r\n")
        assert b"transfer-encoding: chunked" in lines
        assert b"connection: close" in lines
        assert b"x-other: 2" in lines
        assert not any(line.startswith((b"te:", b"x-mine:", b"keep-alive")) for line in lines)
        await client.send(b"5\r\nfirst\r\n")
        assert await server.until(b"first\r\n") == b"5\r\nfirst\r\n"
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: 5\r\n\r\n")
        head = await client.until(b"\r\n\r\n")
        assert b"keep-alive" not in head.lower()
        await server.send(b"3\r\none\r\n")
        assert await client.until(b"one\r\n") == b"3\r\none\r\n"
        await client.send(b"0\r\n\r\n")
        assert await server.until(b"0\r\n\r\n") == b"0\r\n\r\n"
        await server.send(b"0\r\n\r\n")
        assert await client.rest() == b"0\r\n\r\n"
        await client.aclose()
        await server.aclose()


async def test_a_body_has_one_length(backend):
    """A request cannot be hidden in the body of another one."""
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client = await connect(proxy)
        hidden = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
        lengths = (
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            "Connection: transfer-encoding",
        )
        await client.send(
            asked("POST", "/", "Host: localhost", *lengths, body=b"0\r\n\r\n" + hidden)
        )
        server, head = await upstream.accepted()
        assert b"content-length" not in head.lower()
        assert b"transfer-encoding: chunked" in head.lower()
        assert await server.until(b"0\r\n\r\n") == b"0\r\n\r\n"
        await server.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        told = await client.rest()
        assert b"content-length" not in told.lower()
        assert told.endswith(b"\r\n\r\n0\r\n\r\n")
        await client.aclose()
        await server.stream.send_eof()
        assert await server.rest() == b""
        await server.aclose()


@pytest.mark.parametrize("way", ["up", "down"])
async def test_no_body_is_held(backend, way):
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client = await connect(proxy)
        length = f"Content-Length: {1 << 40}"
        await client.send(asked("POST", "/", "Host: localhost", length))
        server, _ = await upstream.accepted()
        if way == "down":
            await server.send(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode())
            await client.until(b"\r\n\r\n")
        source, target = (client, server) if way == "up" else (server, client)
        await target.stop_reading_ahead()
        taken = await source.fill(b"x" * 60_000)
        assert await target.exactly(taken) == b"x" * taken
        await client.aclose()
        await server.aclose()


async def test_a_client_may_ask_before_it_sends(backend):
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client = await connect(proxy)
        await client.send(
            asked("POST", "/", "Host: localhost", "Content-Length: 4", "Expect: 100-continue")
        )
        server, head = await upstream.accepted()
        assert b"expect: 100-continue" in head.lower()
        await server.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        await client.send(b"body")
        assert await server.exactly(4) == b"body"
        await server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 204 ")
        await client.aclose()
        await server.aclose()


async def test_an_answer_that_is_cut_off_is_cut_off(backend):
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client = await connect(proxy)
        await client.send(asked("GET", "/", "Host: localhost"))
        server, _ = await upstream.accepted()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await client.until(b"one\r\n")
        await server.aclose()
        assert await client.rest() == b""  # and no end of the chunks
        await client.aclose()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "has closed the stream before it answered"),
        (b"HTTP/1.1 2", "is not HTTP, or not whole"),
        (b"SSH-2.0-x\r\n\r\n", "is not HTTP, or not whole"),
    ],
)
@pytest.mark.parametrize("websocket", [False, True], ids=["page", "websocket"])
async def test_what_is_no_answer_is_502(backend, answer, why, websocket):
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client = await connect(proxy)
        await client.send(request() if websocket else asked("GET", "/", "Host: localhost"))
        server, _ = await upstream.accepted()
        if answer:
            await server.send(answer)
        await server.aclose()
        told = await client.rest()
        assert told.startswith(b"HTTP/1.1 502 ")
        assert why.encode() in told
        await client.aclose()


async def test_a_refusal_of_the_server_is_passed_on(backend, open_client, new_server):
    async with open_vuer_server(new_server(token="right")) as server:
        async with proxy_to(server.uri) as proxy:
            uri = f"ws://127.0.0.1:{proxy.port}"
            with pytest.raises(ConnectionFailed, match="401 Unauthorized: the token is") as caught:
                await open_client(f"{uri}?token=wrong").connect()
            assert caught.value.status == 401
            async with open_client(f"{uri}?token=right") as client:
                await client.flush()


# ---- who gets in


@pytest.mark.parametrize("websocket", [False, True], ids=["page", "websocket"])
async def test_pages_of_strangers_do_not_get_in(backend, caplog, websocket):
    async with raw_upstream() as upstream:
        async with proxy_to(upstream.uri, origins=["https://good.test"]) as proxy:
            for header in ("Origin: https://evil.test", "Origin: null"):
                client = await connect(proxy)
                asks = request("/", header)
                if not websocket:
                    asks = asked("POST", "/", "Host: localhost", header)
                await client.send(asks)
                assert (await client.rest()).startswith(b"HTTP/1.1 403 ")
                await client.aclose()
            client = await connect(proxy)
            await client.send(asked("GET", "/", "Host: evil.test"))
            assert (await client.rest()).startswith(b"HTTP/1.1 403 ")
            await client.aclose()
            client = await connect(proxy)
            asks = request("/", "Origin: https://good.test")
            if not websocket:
                asks = asked("GET", "/", "Host: localhost", "Origin: https://good.test")
            await client.send(asks)
            server, head = await upstream.accepted()
            assert b"origin: https://good.test" in head.lower()  # the server judges it, too
            await client.aclose()
            await server.aclose()
    assert "pages of 'https://evil.test' may not talk to this server" in caplog.text


@pytest.mark.parametrize(
    ("asks", "status"),
    [
        (asked("CONNECT", "a:1", "Host: localhost"), 405),
        (asked("TRACE", "/", "Host: localhost"), 405),
        (request().replace(b"Version: 13", b"Version: 8"), 426),
        (asked("POST", "/", "Host: localhost", "Transfer-Encoding: chunked", body=b"zz\r\n"), 400),
    ],
)
async def test_what_is_not_passed_on(backend, asks, status):
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client = await connect(proxy)
        await client.send(asks)
        assert (await client.rest()).startswith(f"HTTP/1.1 {status} ".encode())
        await client.aclose()
        if status == 400:  # known only after the server behind was asked
            server, _ = await upstream.accepted()
            await server.aclose()


async def test_headers_of_the_proxys_owner_are_sent(backend):
    async with raw_upstream() as upstream:
        async with proxy_to(upstream.uri, headers=[("Authorization", "Bearer own")]) as proxy:
            client = await connect(proxy)
            await client.send(
                asked("GET", "/", "Host: localhost", "authorization: Bearer theirs",
                      "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https")
            )  # fmt: skip
            server, head = await upstream.accepted()
            lines = head.lower().split(b"\r\n")
            assert [x for x in lines if x.startswith(b"authorization")] == [
                b"authorization: bearer own"
            ]
            assert b"x-forwarded-for: 1.2.3.4, 127.0.0.1" in lines
            assert b"x-forwarded-proto: https" in lines  # of a tunnel before it
            await client.aclose()
            await server.aclose()


@pytest.mark.parametrize(
    ("version", "headers", "owned", "host"),
    [
        ("1.0", [], (), b"host: 127.0.0.1:"),
        ("1.1", ["Host: localhost", "Connection: host, origin"], (), b"host: localhost\r\n"),
        ("1.1", ["Host: localhost"], [("Host", "x.test")], b"host: x.test\r\n"),
    ],
)
async def test_every_request_has_a_host(backend, version, headers, owned, host):
    async with raw_upstream() as upstream, proxy_to(upstream.uri, headers=owned) as proxy:
        client = await connect(proxy)
        asks = asked("GET", "/", "Origin: http://localhost:1", *headers)
        await client.send(asks.replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        server, head = await upstream.accepted()
        assert host in head.lower()
        assert head.lower().count(b"\r\nhost: ") == 1
        assert b"\r\norigin: http://localhost:1\r\n" in head.lower()
        await server.send(b"HTTP/1.1 200 OK\r\n\r\nto the end")
        await server.aclose()
        assert (await client.rest()).endswith(b"to the end" if version == "1.0" else b"0\r\n\r\n")
        await client.aclose()


async def test_more_websockets_than_there_is_room_for(backend):
    async with raw_upstream() as upstream, proxy_to(upstream.uri, max_sessions=1) as proxy:
        client, server = await opened(upstream, proxy)
        other = await connect(proxy)
        await other.send(request())
        assert (await other.rest()).startswith(b"HTTP/1.1 503 ")
        for stream in (client, server, other):
            await stream.aclose()


# ---- real ends


@pytest.mark.parametrize("tls", ["proxy", "server", "both"])
async def test_tls(backend, open_client, tmp_path, tls):
    import trustme

    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    cert = tmp_path / "both.pem"
    cert.write_bytes(
        issued.private_key_pem.bytes() + b"".join(p.bytes() for p in issued.cert_chain_pems)
    )
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    app = Vuer("127.0.0.1", 0, **({"cert": cert} if tls != "proxy" else {}))
    app.spawn(_shows_a_box)
    async with open_vuer_server(app) as server:
        options = {} if tls == "server" else {"cert": cert}
        async with proxy_to(server.uri, tls=trusting, **options) as proxy:
            scheme = "ws" if tls == "server" else "wss"
            uri = f"{scheme}://127.0.0.1:{proxy.port}"
            own = None if tls == "server" else trusting
            async with open_client(uri, ssl_context=own) as client:
                assert await client.recv(timeout=DEADLINE) == "SET"
            stream = await anyio.connect_tcp(
                "127.0.0.1", proxy.port, tls=tls != "server", ssl_context=own,
                tls_standard_compatible=False,
            )  # fmt: skip
            page = Raw(stream)
            await page.send(asked("GET", "/?x=1", f"Host: 127.0.0.1:{proxy.port}"))
            told = await page.rest()
            assert told.startswith(b"HTTP/1.1 302 ")
            assert f"location: /?x=1&ws={uri}".encode() in told
            await page.aclose()


async def _shows_a_box(session):
    session.set @ DefaultScene(Box(key="box"))
    await session.forever()


async def test_a_server_that_is_not_there(backend, open_client, caplog):
    async with raw_upstream() as upstream:
        pass
    async with proxy_to(upstream.uri) as proxy:
        with pytest.raises(ConnectionFailed, match="there is no server behind this proxy") as why:
            await open_client(f"ws://127.0.0.1:{proxy.port}").connect()
        assert why.value.status == 502
        client = await connect(proxy)
        await client.send(asked("GET", "/", "Host: localhost", "Accept: text/html"))
        page = (await client.rest()).decode()
        assert page.startswith("HTTP/1.1 502 ")
        assert "retry-after: 2" in page
        assert "Start the server" in page
        assert f"{upstream.uri} cannot be reached: Connection refused" in page
        await client.aclose()
        warnings = [r for r in caplog.records if "cannot be reached" in r.getMessage()]
        assert len(warnings) == 1  # however often it is asked
        app = Vuer("127.0.0.1", upstream.port)
        async with open_vuer_server(app), open_client(f"ws://127.0.0.1:{proxy.port}") as client:
            await client.flush()
        assert "answers again" in caplog.text


async def test_the_servers_own_goodbye_comes_through(backend, open_client):
    app = Vuer("127.0.0.1", 0)
    app.spawn(_shows_a_box)
    async with open_vuer_server(app) as server, proxy_to(server.uri) as proxy:
        async with open_client(f"ws://127.0.0.1:{proxy.port}") as client:
            assert await client.recv(timeout=DEADLINE) == "SET"
            await client.send(ClientEvent(value=1, etype="X"))
            await client.flush()
            [session] = app.sessions
            session.spawn_task(session.aclose, 4001, "out of paint")
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv(timeout=DEADLINE)
            assert (caught.value.code, caught.value.reason) == (4001, "out of paint")


async def test_a_client_reconnects_through_the_proxy(backend, open_client):
    app = Vuer("127.0.0.1", 0)
    app.spawn(_shows_a_box)
    async with open_vuer_server(app) as server:
        port = server.port
    again = Vuer("127.0.0.1", port)
    again.spawn(_shows_a_box)
    over = [anyio.Event(), anyio.Event()]

    async def serve_twice() -> None:
        for event in over:
            await anyio.sleep(0.05)  # for a dial or two that find nobody
            async with open_vuer_server(again):
                await event.wait()

    async with proxy_to(f"ws://127.0.0.1:{port}") as proxy, anyio.create_task_group() as tasks:
        tasks.start_soon(serve_twice)
        backoff = Backoff(initial=0.01, maximum=0.05, first=True)
        with anyio.fail_after(DEADLINE):
            async with open_client(f"ws://127.0.0.1:{proxy.port}", reconnect=backoff) as client:
                for event in over:
                    assert await client.recv() == "SET"
                    event.set()


# ---- and nobody else waits


class Neighbour:
    """Another task of the loop: the most of what ``count`` counts between two of its turns."""

    def __init__(self) -> None:
        self.counted = self.most = self._seen = 0

    def count(self, amount: int = 1) -> None:
        self.counted += amount

    async def run(self) -> None:
        while True:
            self.most = max(self.most, self.counted - self._seen)
            self._seen = self.counted
            await anyio.lowlevel.checkpoint()


MANY = 5000
#: a request and its answer, of many pieces that come at once
PIECES = {
    "a body": (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\na\r\n" * MANY
        + b"0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ),
    "an answer": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\na\r\n" * MANY
        + b"0\r\n\r\n",
    ),
    "early hints": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"HTTP/1.1 103\r\n\r\n" * MANY + b"HTTP/1.1 204 No Content\r\n\r\n",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", PIECES)
async def test_small_pieces_leave_others_their_turns(backend, monkeypatch, what):
    neighbour, next_event = Neighbour(), h11.Connection.next_event

    def counted(self: Any) -> Any:
        neighbour.count()
        return next_event(self)

    monkeypatch.setattr(h11.Connection, "next_event", counted)
    asked_for, answered = PIECES[what]
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        client = await connect(proxy)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(neighbour.run)
            tasks.start_soon(client.send, asked_for)
            server, head = await upstream.accepted()
            if head.startswith(b"POST"):
                await server.until(b"\r\n0\r\n\r\n")
            tasks.start_soon(server.send, answered)
            await client.until(b"\r\n0\r\n\r\n" if what == "an answer" else b" 204 No Content\r\n")
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await client.aclose()
        await server.aclose()
    assert neighbour.counted > MANY
    assert neighbour.most < MANY / 4


async def test_small_frames_leave_others_their_turns(backend):
    frames = masked(b"") * 10_000
    async with raw_upstream() as upstream, proxy_to(upstream.uri) as proxy:
        neighbour = Neighbour()
        proxy.observe(lambda direction, messages: neighbour.count(len(messages)))
        client, server = await opened(upstream, proxy)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(neighbour.run)
            tasks.start_soon(client.send, frames)
            assert await server.exactly(len(frames)) == frames
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await client.aclose()
        await server.aclose()
    assert neighbour.counted == 10_000
    assert neighbour.most < 10_000 / 4
