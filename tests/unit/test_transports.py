"""Opening handshakes, good and bad, over streams in memory; and nothing left behind by any."""

from __future__ import annotations

import gc
import re
import ssl
from collections import Counter
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from websockets.frames import Opcode

from tests.scripted_server import encode_frame, event_frame, memory_peer, serve_peer
from vuer_trio import ConnectionClosed, ConnectionFailed, VuerClient, open_vuer_client
from vuer_trio._net.address import parse_address
from vuer_trio._net.connect_options import ConnectOptions
from vuer_trio._websocket import connect as dial_module
from vuer_trio.events import ClientEvent

pytestmark = pytest.mark.trio
transports = pytest.mark.parametrize("transport", ["websockets", "wsproto", "trio-websocket"])
DEADLINE = 60  # seconds; only broken code gets there
HELLO = event_frame({"etype": "HELLO", "data": 1})


async def enter(client):
    async with client:
        pass


async def refused(script, transport, **options):
    """What opening raises, and whether the stream was ended."""
    async with memory_peer(script) as peer:
        client = VuerClient(peer.uri, stream=peer.stream, transport=transport, **options)
        with pytest.raises(ConnectionFailed) as error:
            await enter(client)
        assert error.value.uri == peer.uri
        assert str(error.value).startswith(f"could not connect to {peer.uri}: ")
        assert (client.connected, client.transport, client.close_code) == (False, None, None)
        with trio.fail_after(DEADLINE):
            await peer.conn.wait_disconnected()
    return error.value


def replies(data, *, end=False):
    async def script(conn):
        await conn.wait_request()
        await conn.send_raw(data)
        if end:
            await conn.end_tcp()

    return script


# ---- good ones


@transports
async def test_a_reply_may_come_byte_by_byte_and_with_it_the_first_frames(
    autojump_clock, transport
):
    async def script(conn):
        await conn.accept(trailing=HELLO + encode_frame(Opcode.PING, b"you") + HELLO)

    async with (
        memory_peer(script, max_read=1) as peer,
        open_vuer_client(peer.uri, stream=peer.stream, transport=transport) as client,
    ):
        assert [(await client.recv()).etype for _ in range(2)] == ["HELLO", "HELLO"]
        await peer.conn.wait_until(lambda: peer.conn.pongs == [b"you"])


@transports
@pytest.mark.parametrize("part", [0, 1, 5, len(HELLO), len(HELLO) + 3])
async def test_the_first_frame_may_share_a_segment_with_the_reply(autojump_clock, transport, part):
    async def script(conn):
        both = HELLO + HELLO
        await conn.accept(trailing=both[:part])
        await trio.sleep(1)
        await conn.send_raw(both[part:])

    async with (
        memory_peer(script) as peer,
        open_vuer_client(peer.uri, stream=peer.stream, transport=transport) as client,
    ):
        assert [(await client.recv()).etype for _ in range(2)] == ["HELLO", "HELLO"]


@transports
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 60])
async def test_the_end_of_the_headers_may_be_cut_anywhere(autojump_clock, transport, cut):
    class Cut(trio.abc.Stream):
        """Gives the reply in two parts, the second one with a frame behind it."""

        def __init__(self, stream):
            self.stream, self.held = stream, None
            self.send_all = stream.send_all
            self.wait_send_all_might_not_block = stream.wait_send_all_might_not_block
            self.aclose = stream.aclose

        async def receive_some(self, max_bytes=None):
            if self.held:
                held, self.held = self.held, b""
                return held
            data = bytes(await self.stream.receive_some(max_bytes))
            if self.held is None:
                end = data.index(b"\r\n\r\n") + 4 - cut
                data, self.held = data[:end], data[end:]
            return data

        send_all = wait_send_all_might_not_block = aclose = None

    Cut.__abstractmethods__ = frozenset()

    async def script(conn):
        await conn.accept(trailing=HELLO)

    async with (
        memory_peer(script) as peer,
        open_vuer_client(peer.uri, stream=Cut(peer.stream), transport=transport) as client,
    ):
        assert (await client.recv()).etype == "HELLO"


@transports
async def test_a_close_may_share_a_segment_with_the_reply(autojump_clock, transport):
    async def script(conn):
        await conn.accept(trailing=HELLO + encode_frame(Opcode.CLOSE, b"\x03\xe9away"))

    async with (
        memory_peer(script) as peer,
        open_vuer_client(peer.uri, stream=peer.stream, transport=transport) as client,
    ):
        assert (await client.recv()).etype == "HELLO"
        with pytest.raises(ConnectionClosed, match=r"going away.*: away") as error:
            await client.recv()
        assert (error.value.code, error.value.reason) == (1001, "away")


@transports
async def test_the_transport_and_the_subprotocol_are_told(autojump_clock, transport):
    async def script(conn):
        await conn.accept({"Sec-WebSocket-Protocol": "b"})

    async with (
        memory_peer(script) as peer,
        open_vuer_client(
            peer.uri, stream=peer.stream, transport=transport, subprotocols=["a", "b"]
        ) as client,
    ):
        assert (client.transport, client.subprotocol) == (transport, "b")


# ---- bad ones


@transports
@pytest.mark.parametrize(
    ("reply", "status", "what"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nno vuer\r\n",
            404,
            "404 Not Found: no",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "404 Not Found$"),
        (b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n", 503, "503 Service Unavailable$"),
        (b"HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", 599, "599$"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 401, "401 Unauthorized"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 302, "302 Found"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\na\r\n\r\nb", 200, "200 OK: a"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, "204 No Content"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_a_server_that_answers_otherwise_is_told_with_its_status(
    autojump_clock, transport, reply, status, what
):
    error = await refused(replies(reply), transport)
    assert error.status == status
    assert re.search(f"the server answered HTTP {what}", str(error))


@transports
async def test_a_stream_of_one_s_own_leads_to_one_server(autojump_clock, transport):
    reply = b"HTTP/1.1 302 Found\r\nLocation: http://there.test/\r\n\r\n"
    error = await refused(replies(reply), transport)
    assert error.status == 302
    assert "Location: ws://there.test/; it is not followed: stream= leads to one" in str(error)


@transports
@pytest.mark.parametrize("reply", [b"HTTP/1.1 401 No\r\n", b"HTTP/1.1 401 No\r\n\r\nand so"])
async def test_a_refusal_s_body_is_waited_for_briefly_and_less_than_half_of_what_is_left(
    autojump_clock, transport, reply
):
    start = trio.current_time()
    for timeout, waited in ((10, 0.25), (0.1, 0.05), (float("inf"), 0.25)):
        error = await refused(replies(reply), transport, connect_timeout=timeout)
        assert error.status == 401
        assert trio.current_time() - start == pytest.approx(waited)
        start = trio.current_time()


@transports
async def test_the_body_of_a_refusal_is_shown(autojump_clock, transport):
    async def script(conn):
        await conn.reject(403, "you are not on the list\n")

    error = await refused(script, transport)
    assert error.status == 403
    assert str(error).endswith("the server answered HTTP 403 Forbidden: you are not on the list")


@transports
async def test_a_body_without_a_length_ends_with_the_stream_and_is_shown(autojump_clock, transport):
    reply = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\nnothing here"
    error = await refused(replies(reply, end=True), transport)
    assert error.status == 404
    assert str(error).endswith("the server answered HTTP 404 Not Found: nothing here")


@transports
async def test_a_body_that_never_ends_keeps_nobody_waiting_for_longer_than_opening_may(
    autojump_clock, transport
):
    reply = b"HTTP/1.1 404 Not Found\r\n\r\nand so"
    start = trio.current_time()
    error = await refused(replies(reply), transport, connect_timeout=3)
    assert error.status in (None, 404)
    assert trio.current_time() - start <= 3


@transports
@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nno colon here\r\n\r\n",
        b"\x82\x05hello\r\n\r\n",
        b"\r\n\r\n\r\n\r\n" * 3,
    ],
)
@pytest.mark.parametrize("end", [False, True])
async def test_garbage_is_no_handshake(autojump_clock, transport, reply, end):
    start = trio.current_time()
    error = await refused(replies(reply, end=end), transport)
    assert error.status is None
    assert "not open within" not in str(error), "garbage is known at once"
    assert trio.current_time() == start


@transports
@pytest.mark.parametrize(
    "headers",
    [
        {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": "bm8="},
        {"Upgrade": "websocket", "Connection": "Upgrade"},
        {"Connection": "Upgrade", "Sec-WebSocket-Accept": "bm8="},
        {},
    ],
    ids=["wrong key", "no key", "no upgrade", "nothing"],
)
async def test_a_101_that_is_not_for_us_is_no_handshake(autojump_clock, transport, headers):
    lines = [f"{name}: {value}" for name, value in headers.items()]
    reply = "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode()
    start = trio.current_time()
    error = await refused(replies(reply), transport)
    assert error.status is None
    assert "the handshake failed" in str(error)
    assert trio.current_time() == start


@transports
async def test_a_subprotocol_that_was_not_offered_is_refused(autojump_clock, transport):
    async def script(conn):
        await conn.accept({"Sec-WebSocket-Protocol": "other"})

    error = await refused(script, transport, subprotocols=["ours"])
    assert error.status is None
    assert "the handshake failed" in str(error)


@transports
@pytest.mark.parametrize("said", [b"", b"H", b"HTTP/1.1 101 Switching Protocols\r\nUpgr"])
async def test_a_stream_that_ends_before_the_reply_is_told_at_once(autojump_clock, transport, said):
    start = trio.current_time()
    error = await refused(replies(said, end=True), transport)
    assert error.status is None
    assert trio.current_time() == start
    if not said:
        assert "closed the stream before it answered" in str(error)


@transports
async def test_a_stream_that_breaks_before_the_reply_is_told_at_once(autojump_clock, transport):
    async def script(conn):
        await conn.wait_request()
        await conn.abort()

    start = trio.current_time()
    await refused(script, transport)
    assert trio.current_time() == start


async def flood(conn, line):
    """Send the same for as long as anybody reads, up to 8 MiB."""
    while conn.sent < 8 << 20:
        await conn.send_raw(line)
        conn.sent += len(line)


@transports
@pytest.mark.parametrize(
    ("head", "line"),
    [
        (b"", b"x" * 4096),
        (b"HTTP/1.1 101 ", b"x" * 4096),
        (b"HTTP/1.1 101 OK\r\n", b"X-Header: " + b"x" * 1000 + b"\r\n"),
        (b"HTTP/1.1 101 OK\r\n", b"a:\r\n" * 500),
        (b"HTTP/1.1 101 OK\r\nX-Header: ", b"x" * 4096),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        (b"HTTP/1.1 404 No\r\n\r\n", b"x" * 65_536),
        (b"HTTP/1.1 404 No\r\nContent-Length: 999999999\r\n\r\n", b"x" * 65_536),
        (
            b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"4000\r\n" + b"x" * 16_384 + b"\r\n",
        ),
    ],
    ids=[
        "nothing",
        "status line",
        "headers",
        "empty headers",
        "one header",
        "provisional",
        "body",
        "long body",
        "chunks",
    ],
)
async def test_a_reply_without_an_end_fails_before_it_fills_the_memory(
    autojump_clock, transport, head, line
):
    async def script(conn):
        conn.sent = 0
        await conn.wait_request()
        await conn.send_raw(head)
        await flood(conn, line)

    sent = []

    class Watched(trio.abc.Stream):
        def __init__(self, stream):
            self.stream = stream

        async def send_all(self, data):
            await self.stream.send_all(data)

        async def wait_send_all_might_not_block(self):
            raise NotImplementedError

        async def receive_some(self, max_bytes=None):
            data = await self.stream.receive_some(max_bytes)
            sent.append(len(data))
            return data

        async def aclose(self):
            await self.stream.aclose()

    start = trio.current_time()
    async with memory_peer(script) as peer:
        client = VuerClient(peer.uri, stream=Watched(peer.stream), transport=transport)
        with pytest.raises(ConnectionFailed):
            await enter(client)
    assert trio.current_time() == start, "it was the size that ended it, not the time"
    assert sum(sent) < 4 << 20


# ---- which transport


@pytest.mark.parametrize(
    ("library", "wish", "full", "bare"),
    [
        ("trio", "auto", "websockets", "trio-websocket"),
        ("asyncio", "auto", "websockets", "wsproto"),
        ("trio", "websockets", "websockets", "pip install 'vuer-trio\\[fast\\]'"),
        ("asyncio", "websockets", "websockets", "pip install 'vuer-trio\\[fast\\]'"),
        ("trio", "wsproto", "wsproto", "wsproto"),
        ("asyncio", "wsproto", "wsproto", "wsproto"),
        ("trio", "trio-websocket", "trio-websocket", "trio-websocket"),
        ("asyncio", "trio-websocket", "runs on Trio only", "runs on Trio only"),
    ],
)
@pytest.mark.parametrize("installed", [True, False])
async def test_the_transport_follows_from_the_library_and_what_is_installed(
    monkeypatch, library, wish, full, bare, installed
):
    if not installed:
        monkeypatch.setattr(dial_module, "find_spec", lambda name: None)
    expected = full if installed else bare
    dialing = ConnectOptions(parse_address("ws://h"), 1000, wish)
    if " " in expected:
        with pytest.raises(ValueError, match=expected):
            dial_module._choose(library, dialing)
    else:
        assert dial_module._choose(library, dialing) == expected


@pytest.mark.parametrize("wish", ["trio-websocket", "wsproto"])
async def test_only_one_transport_can_compress(monkeypatch, wish):
    def choose(wish):
        dialing = ConnectOptions(parse_address("ws://h"), 1000, wish, compression="deflate")
        return dial_module._choose("trio", dialing)

    assert choose("auto") == choose("websockets") == "websockets"
    with pytest.raises(ValueError, match=f"'{wish}' cannot compress"):
        choose(wish)
    monkeypatch.setattr(dial_module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="compression needs the websockets package"):
        choose("auto")


async def test_compression_is_offered_and_used(autojump_clock):
    async def script(conn):
        await conn.accept()
        await conn.send_event({"etype": "BIG", "data": "x" * 100_000})
        await conn.ping(b"and a ping")

    async with (
        memory_peer(script, compression=True) as peer,
        open_vuer_client(peer.uri, stream=peer.stream, compression="deflate") as client,
    ):
        assert (await client.recv()).data == "x" * 100_000
        await client.send(ClientEvent(etype="BIG", value="y" * 100_000))
        await peer.conn.wait_until(lambda: len(peer.conn.messages) == 2)
        assert peer.conn.bytes_received < 10_000
        assert "y" * 100_000 in peer.conn.messages[1].decode("latin-1")
        assert client.statistics().bytes_received < 10_000
    assert (peer.conn.close_code, peer.conn.protocol_error) == (1000, None)


# ---- cancelled anywhere


def tasks():
    """All tasks of this run, by name."""
    found = Counter()
    todo = [trio.lowlevel.current_root_task()]
    while todo:
        task = todo.pop()
        found[task.name] += 1
        for nursery in task.child_nurseries:
            todo += nursery.child_tasks
    return found


def descriptors():
    """The open sockets of this process."""
    gc.collect()
    links = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(path.readlink()))
        except FileNotFoundError:  # the directory's own
            continue
    return Counter(link for link in links if link.startswith("socket:"))


async def cancel_after(ticks, scope):
    for _ in range(ticks):
        await trio.lowlevel.checkpoint()
    scope.cancel()


async def opens_when_cancelled_after(ticks, open_and_leave):
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_after, ticks, scope)
            await open_and_leave()
            nursery.cancel_scope.cancel()
    return not scope.cancelled_caught


@transports
@pytest.mark.parametrize("form", ["block", "manual"])
async def test_opening_cancelled_at_any_time_leaves_nothing_in_memory(
    autojump_clock, transport, form
):
    async def script(conn):
        await conn.accept(trailing=HELLO)

    before = tasks()
    cancelled = 0
    for ticks in range(1000):
        async with memory_peer(script, max_read=10) as peer:
            client = VuerClient(peer.uri, stream=peer.stream, transport=transport)

            async def open_and_leave(client=client):
                if form == "block":
                    async with client:
                        pass
                else:
                    try:
                        await client.connect()
                    finally:
                        await client.close()

            done = await opens_when_cancelled_after(ticks, open_and_leave)
            await peer.conn.wait_disconnected()
        await wait_all_tasks_blocked()
        assert tasks() == before
        if done:
            break
        cancelled += 1
    assert cancelled > 5
    assert done


@transports
@pytest.mark.parametrize("tls", [False, True])
async def test_opening_cancelled_at_any_time_leaves_no_socket(transport, tls):
    before, open_before = tasks(), descriptors()
    with trio.fail_after(30):
        async with serve_peer(tls=tls) as peer:
            for ticks in range(0, 60, 3):

                async def open_and_leave():
                    async with open_vuer_client(
                        peer.uri, transport=transport, ssl_context=peer.client_ssl_context
                    ):
                        pass

                await opens_when_cancelled_after(ticks, open_and_leave)
            if peer.connections:
                for conn in peer.connections:
                    await conn.wait_disconnected()
        await trio.testing.wait_all_tasks_blocked()
    assert tasks() == before
    assert descriptors() == open_before


@transports
async def test_a_failed_handshake_leaves_no_socket_and_no_task(transport):
    async def script(conn):
        await conn.reject(404)

    before, open_before = tasks(), descriptors()
    with trio.fail_after(DEADLINE):
        async with serve_peer(script) as peer:
            for _ in range(5):
                with pytest.raises(ConnectionFailed) as error:
                    await enter(VuerClient(peer.uri, transport=transport))
                assert error.value.status == 404
        with pytest.raises(ConnectionFailed, match="is a Vuer server running there"):
            await enter(VuerClient(peer.uri, transport=transport))
    del error
    assert tasks() == before
    assert descriptors() == open_before


@transports
async def test_a_certificate_that_is_not_trusted_is_told_and_can_be_accepted(transport):
    with trio.fail_after(DEADLINE):
        async with serve_peer(tls=True) as peer:
            with pytest.raises(
                ConnectionFailed, match=r"is signed by an authority .*ssl_verify=False"
            ) as error:
                await enter(VuerClient(peer.uri, transport=transport))
            cause = error.value.__cause__
            assert any(isinstance(e, ssl.SSLError) for e in (cause, cause.__cause__))
            async with open_vuer_client(peer.uri, transport=transport, ssl_verify=False):
                pass
