"""Everything that strangers send to a port, and what becomes of it: an answer or a close, and
nothing that is left behind."""

from __future__ import annotations

import gc
import logging
import os
import re
import socket
import ssl
import struct

import anyio
import pytest

from tests.behaviour.transport_harness import RecordingSink, connected, serving, tls_contexts
from tests.resource_counts import PATIENCE, open_sockets, task_count
from vuer_trio._net.rejection import Rejected
from vuer_trio._websocket import accept as listen_module
from vuer_trio._websocket.frames import apply_mask

pytestmark = pytest.mark.anyio
KEY = b"AAAAAAAAAAAAAAAAAAAAAA=="
ACCEPT = b"ICX+Yqv66kxgM0FcWaLWlFLwTAI="
GOOD = [
    b"Host: x",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: " + KEY,
]


def head(*lines, first=b"GET / HTTP/1.1"):
    return b"\r\n".join([first, *lines, b"", b""])


def without(name):
    return [line for line in GOOD if not line.startswith(name)]


def masked(opcode, payload, *, fin=True):
    key = b"\1\2\3\4"
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes((fin << 7 | opcode,)) + length + key + apply_mask(payload, key)


@pytest.fixture(autouse=True)
async def _leaves_nothing_behind(backend, caplog):
    caplog.set_level(logging.DEBUG, "vuer_trio.server")
    sockets, tasks = open_sockets(), task_count()  # how many: the one that runs this is another
    yield
    with anyio.fail_after(PATIENCE):
        while open_sockets() > sockets or task_count() > tasks:
            await anyio.sleep(0.01)
    gc.collect()
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def greeter(server, incoming):
    """A page for who wants one, an echo for others."""
    if incoming.wants_websocket:
        await server.echo(incoming)
    else:
        await incoming.answer(200, [("content-type", "text/plain")], b"a page\n")


async def read_all(stream, *, within=15.0):
    data = b""
    with anyio.fail_after(within):
        while True:
            try:
                data += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return data


async def send_raw(server, *parts, end=False, within=15.0, echo=b""):
    """What the server says to ``parts`` until it closes. The last waits for an ``echo``."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        reply = b""
        for n, part in enumerate(parts, 1):
            try:
                with anyio.fail_after(within):
                    while n == len(parts) and not reply.endswith(echo):
                        reply += await stream.receive()
                await stream.send(part)
            except anyio.BrokenResourceError:
                break
            await anyio.sleep(0.01)
        if end:
            await stream.send_eof()
        return reply + await read_all(stream, within=within)


async def still_well(server):
    async with connected(server.uri()) as sink:
        sink.send(b"well?")
        with anyio.fail_after(60):
            await sink.until(lambda: sink.messages == [(False, b"well?")])


def status_of(reply):
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", reply)
    return int(found[1]) if found else None


# ---- what is no request

HELLO = bytes.fromhex("16030100f8010000f40303") + bytes(range(200))
GARBAGE = {
    "TLS": (HELLO, 400),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 400),
    "zeros": (b"\0" * 500, 400),
    "a reply": (b"HTTP/1.1 200 OK\r\n\r\n", 400),
    "line ends": (b"\r\n" * 50, 400),
    "a frame": (b"\x82\x05hello\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", 505),
    "no host": (head(), 400),
    "two hosts": (head(b"Host: a", b"Host: b"), 400),
    "no colon": (head(b"Host: a", b"nothing"), 400),
    "a bad length": (head(b"Host: a", b"Content-Length: many"), 400),
    "a space in the target": (head(b"Host: a", first=b"GET /a b c HTTP/1.1"), 400),
    "a huge head": (head(b"Host: a", b"X: " + b"x" * 200_000), 431),
    "many headers": (head(b"Host: a", *[b"X-Y: z"] * 20_000), 431),
    "a long target": (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    "an endless line": (b"G" * 300_000, 431),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_what_is_no_request_is_answered_and_closed_at_once(backend, name):
    data, status = GARBAGE[name]
    async with serving(backend, greeter) as server:
        reply = await send_raw(server, data)
        # a peer that has not been read to the end may be reset before it has read the answer
        assert status_of(reply) == status or (len(data) > 65_536 and reply == b"")
        assert server.requests == []
        await still_well(server)


@pytest.mark.parametrize("data", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", GOOD[0] + b"\r\n"])
async def test_a_peer_that_leaves_early_is_let_go(backend, data):
    async with serving(backend, greeter) as server:
        assert await send_raw(server, *([data] if data else []), end=True, within=2) == b""
        assert server.requests == []
        await still_well(server)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_peer_that_says_no_more_is_dropped(backend, data, secure, caplog):
    context = tls_contexts()[0] if secure else None
    async with serving(backend, greeter, context=context, handshake_timeout=0.2) as server:
        if secure and data:
            data = HELLO[:20]
        reply = await send_raw(server, *([data] if data else []), within=2)
        assert status_of(reply) is None
        assert server.requests == []


async def test_a_slow_peer_is_dropped_though_it_never_pauses_for_long(backend):
    async with serving(backend, greeter, handshake_timeout=0.3) as server:
        parts = [bytes((byte,)) for byte in head(*GOOD) * 2]
        with anyio.fail_after(60):
            assert await send_raw(server, *parts) == b""
        assert server.requests == []


async def test_a_peer_that_resets_is_let_go(backend):
    async with serving(backend, greeter) as server:
        for data in (b"", b"GET / HT", head(*GOOD), head(b"Host: x"), head(*GOOD) + b"\x82"):
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                sock.sendall(data)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await anyio.sleep(0.02)
        await still_well(server)


# ---- TLS


async def test_plain_http_to_a_tls_port_is_closed(backend):
    server_context, client_context = tls_contexts()
    async with serving(backend, greeter, context=server_context) as server:
        assert status_of(await send_raw(server, head(*GOOD))) is None
        assert server.requests == []
        async with connected(server.uri("wss"), tls=client_context) as sink:
            sink.send(b"well?")
            with anyio.fail_after(60):
                await sink.until(lambda: sink.messages)


async def test_a_client_that_does_not_trust_the_certificate_is_let_go(backend):
    async with serving(backend, greeter, context=tls_contexts()[0]) as server:
        with pytest.raises(ssl.SSLError):
            await anyio.connect_tcp(
                "127.0.0.1", server.port, ssl_context=ssl.create_default_context()
            )
        assert server.requests == []


@pytest.mark.parametrize("size", [10, 3 << 20])
async def test_a_page_over_tls_arrives_whole(backend, size):
    server_context, client_context = tls_contexts()
    body = os.urandom(size)

    async def greet(server, incoming):
        await incoming.answer(200, (), body)

    async with (
        serving(backend, greet, context=server_context) as server,
        await anyio.connect_tcp(
            "127.0.0.1",
            server.port,
            tls_hostname="localhost",
            ssl_context=client_context,
            tls_standard_compatible=False,
        ) as stream,
    ):
        await stream.send(head(b"Host: x"))
        reply = b""
        with anyio.fail_after(60):
            while not reply.endswith(body):
                reply += await stream.receive()


# ---- upgrades

UPGRADES = {
    "as they are": GOOD,
    "lower case": [line.lower() for line in GOOD[:-1]] + [b"sec-websocket-key: " + KEY],
    "upper case": [b"HOST: X", b"UPGRADE: WEBSOCKET", b"CONNECTION: UPGRADE", *GOOD[3:]],
    "keep-alive": [b"Connection: keep-alive, Upgrade", *without(b"Connection")],
    "keep-alive last": [*without(b"Connection"), b"Connection: Upgrade", b"Connection: keep-alive"],
    "no spaces": [line.replace(b": ", b":") for line in GOOD],
    "much space": [line.replace(b": ", b": \t  ") + b"  " for line in GOOD],
    "latin-1": [*GOOD, b"X-Name: J\xfcrgen", b"Sec-WebSocket-Protocol: \xff"],
    "an odd host": [b"Host: \xe4\xf6", *without(b"Host")],
    "an empty body": [*GOOD, b"Content-Length: 0"],
    "offers": [*GOOD, b"Sec-WebSocket-Protocol: a, b", b"Sec-WebSocket-Extensions: x; y=1"],
    "bad offers": [*GOOD, b"Sec-WebSocket-Extensions: ;;;,", b"Sec-WebSocket-Protocol: (,)"],
    "many headers": [*GOOD, *[b"X-%d: y" % n for n in range(500)]],
    "a long header": [*GOOD, b"Cookie: " + b"c" * 30_000],
}


@pytest.mark.parametrize("name", UPGRADES)
async def test_a_good_upgrade_however_it_is_written(backend, name):
    async with serving(backend, greeter) as server:
        reply = await send_raw(
            server,
            head(*UPGRADES[name]) + masked(2, b"hi"),
            masked(8, b"\x03\xe8"),
            echo=b"\x82\x02hi",
        )
        before, _, frames = reply.partition(b"\r\n\r\n")
        lines = before.lower().split(b"\r\n")
        assert lines[0].startswith(b"http/1.1 101 ")
        assert b"upgrade: websocket" in lines
        assert b"connection: upgrade" in lines
        assert b"sec-websocket-accept: " + ACCEPT.lower() in lines
        assert not any(line.startswith((b"sec-websocket-e", b"sec-websocket-p")) for line in lines)
        assert frames == b"\x82\x02hi" + b"\x88\x02\x03\xe8"
        assert server.sinks[0].messages == [(False, b"hi")]
        assert server.sinks[0].close_info.code == 1000


BAD_UPGRADES = {
    "no key": (head(*without(b"Sec-WebSocket-Key")), 400),
    "a short key": (head(*without(b"Sec-WebSocket-Key"), b"Sec-WebSocket-Key: AAAA"), 400),
    "no base64": (head(*without(b"Sec-WebSocket-Key"), b"Sec-WebSocket-Key: " + b"\xff" * 22), 400),
    "two keys": (head(*GOOD, GOOD[-1]), 400),
    "no version": (head(*without(b"Sec-WebSocket-Version")), 426),
    "an old version": (
        head(*without(b"Sec-WebSocket-Version"), b"Sec-WebSocket-Version: 8"),
        426,
    ),
    "two versions": (head(*GOOD, GOOD[3]), 426),
    "no connection": (head(*without(b"Connection")), 426),
    "POST": (head(*GOOD, first=b"POST / HTTP/1.1"), 405),
    "HTTP/1.0": (head(*GOOD, first=b"GET / HTTP/1.0"), 505),
    "a body": (head(*GOOD, b"Content-Length: 5") + b"hello", 400),
    "chunks": (head(*GOOD, b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", BAD_UPGRADES)
async def test_a_bad_upgrade_is_answered_and_told(backend, name):
    raised = []

    async def greet(server, incoming):
        assert incoming.wants_websocket
        try:
            await server.echo(incoming)
        except* Rejected as group:
            raised.append(group.exceptions[0])
            raise

    data, status = BAD_UPGRADES[name]
    async with serving(backend, greet) as server:
        reply = await send_raw(server, data)
        assert status_of(reply) == status
        before, _, body = reply.partition(b"\r\n\r\n")
        lines = before.lower().split(b"\r\n")
        assert any(line.startswith(b"connection: close") for line in lines)
        assert b"content-length: %d" % len(body) in lines
        assert (b"sec-websocket-version: 13" in lines) == ("version" in name)
        assert status != 426 or b"upgrade: websocket" in lines
        with anyio.fail_after(60):
            while not raised:
                await anyio.sleep(0.01)
        assert "a bad upgrade" in str(raised[0])
        assert raised[0].status == status


async def test_accepting_what_asks_for_no_websocket_answers_426(backend):
    async def greet(server, incoming):
        assert not incoming.wants_websocket
        await server.echo(incoming)

    async with serving(backend, greet) as server:
        assert status_of(await send_raw(server, head(b"Host: x"))) == 426


FIRST = [masked(2, b"one"), masked(9, b"you"), masked(1, b"text"), masked(2, b"x" * 300)]


@pytest.mark.parametrize("part", [0, 1, 5, 9, 12, 25, 40, 100, 1000])
async def test_the_first_frames_may_share_a_segment_with_the_request(backend, part):
    stream = b"".join(FIRST)
    async with serving(backend, greeter) as server:
        reply = await send_raw(
            server,
            head(*GOOD) + stream[:part],
            stream[part:],
            masked(8, b"\x03\xe8"),
            echo=b"x" * 300,
        )
        frames = reply.partition(b"\r\n\r\n")[2]
        assert b"\x8a\x03you" in frames
        assert frames.replace(b"\x8a\x03you", b"") == (
            b"\x82\x03one" + b"\x82\x7e\x01\x2c" + b"x" * 300 + b"\x88\x02\x03\xe8"
        )
        assert [text for text, _ in server.sinks[0].messages] == [False, True, False]


async def test_the_request_may_come_byte_by_byte(backend):
    async with serving(backend, greeter) as server:
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            for byte in head(*GOOD) + masked(2, b"slow"):
                await stream.send(bytes((byte,)))
                await anyio.lowlevel.checkpoint()
            with anyio.fail_after(60):
                while not (server.sinks and server.sinks[0].messages):
                    await anyio.sleep(0.001)
            await stream.send(masked(8, b"\x03\xe8"))
            reply = await read_all(stream)
        assert reply.partition(b"\r\n\r\n")[2] == b"\x82\x04slow\x88\x02\x03\xe8"


async def test_fragments_with_control_frames_between_them(backend):
    frames = [
        masked(2, b"a" * 70, fin=False),
        masked(9, b"1"),
        masked(0, b"b" * 300, fin=False),
        masked(10, b"2"),
        masked(0, b"", fin=False),
        masked(9, b"3"),
        masked(0, b"c"),
        masked(1, "ü".encode()[:1], fin=False),
        masked(0, "ü".encode()[1:]),
        masked(8, b"\x03\xe9away"),
    ]
    async with serving(backend, greeter) as server:
        reply = await send_raw(server, head(*GOOD), *frames)
        sink = server.sinks[0]
        assert sink.messages == [(False, b"a" * 70 + b"b" * 300 + b"c"), (True, "ü".encode())]
        assert (sink.close_info.by, sink.close_info.code, sink.close_info.reason) == (
            "peer",
            1001,
            "away",
        )
        written = reply.partition(b"\r\n\r\n")[2]
        assert written.startswith(b"\x8a\x011\x8a\x013")
        assert written.endswith(b"\x88\x06\x03\xe9away")


FAULTS = {
    "not masked": (b"\x82\x02hi", 1002),
    "not masked, long": (b"\x82\x7e\x01\x00" + b"x" * 256, 1002),
    "reserved bits": (b"\xc2" + masked(2, b"hi")[1:], 1002),
    "a bad opcode": (masked(3, b"hi"), 1002),
    "a stray continuation": (masked(0, b"hi"), 1002),
    "a long ping": (masked(9, b"x" * 126), 1002),
    "over max_size": (masked(2, b"x" * 1001), 1009),
    "over max_size in sum": (masked(2, b"x" * 600, fin=False) + masked(0, b"x" * 401), 1009),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_fails_the_connection(backend, name):
    data, code = FAULTS[name]
    async with serving(backend, greeter, max_size=1000) as server:
        reply = await send_raw(server, head(*GOOD), masked(2, b"fine"), data, echo=b"\x82\x04fine")
        written = reply.partition(b"\r\n\r\n")[2]
        assert written.startswith(b"\x82\x04fine\x88")
        assert written[8:10] == struct.pack("!H", code)
        close_info = server.sinks[0].close_info
        assert (close_info.by, close_info.code) == ("us", code)


async def test_text_that_is_not_utf8_is_a_fault(backend):
    async with serving(backend, greeter) as server:
        reply = await send_raw(server, head(*GOOD), masked(1, b"\xff\xfe"), masked(8, b"\x03\xe8"))
        sink = server.sinks[0]
        assert reply.partition(b"\r\n\r\n")[2][2:4] == struct.pack("!H", 1007)
        assert sink.messages == []


# ---- pages


async def test_a_page_and_its_head(backend):
    async with serving(backend, greeter) as server:
        page = await send_raw(server, head(b"Host: x", first=b"GET /some/page?x=%20 HTTP/1.1"))
        before, _, body = page.partition(b"\r\n\r\n")
        assert status_of(page) == 200
        assert body == b"a page\n"
        assert b"connection: close" in before
        assert b"content-length: 7" in before
        assert server.requests[0].request.target == "/some/page?x=%20"
        only = await send_raw(server, head(b"Host: x", first=b"HEAD / HTTP/1.1"))
        assert only.endswith(b"\r\n\r\n")
        assert b"content-length: 7" in only
        old = await send_raw(server, head(first=b"GET / HTTP/1.0"))
        assert status_of(old) == 200


async def test_a_body_and_further_requests_do_not_reset_the_answer(backend):
    async with serving(backend, greeter) as server:
        body = b"x" * 1_000_000
        post = head(b"Host: x", b"Content-Length: 1000000", first=b"POST / HTTP/1.1")
        assert status_of(await send_raw(server, post + body)) == 200
        several = await send_raw(server, head(b"Host: x") * 100)
        assert several.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "headers",
    [[("a b", "c")], [("a", "b\r\nc: d")], [("", "x")], [("a:", "x")], [("a", "\0")]],
)
async def test_a_header_that_is_none_is_a_value_error(backend, headers):
    raised = []

    async def greet(server, incoming):
        with pytest.raises(ValueError, match="not a valid header") as error:
            await incoming.answer(200, headers, b"")
        raised.append(error.value)
        await incoming.answer(500, (), b"")

    async with serving(backend, greet) as server:
        assert status_of(await send_raw(server, head(b"Host: x"))) == 500
        assert raised


async def test_a_knock_is_answered_once(backend):
    raised = []

    async def greet(server, incoming):
        await incoming.answer(404, (), b"")
        with pytest.raises(RuntimeError) as error:
            await incoming.answer(404, (), b"")
        raised.append(error.value)

    async with serving(backend, greet) as server:
        reply = await send_raw(server, head(b"Host: x"))
        assert reply.count(b"404") == 1
        with anyio.fail_after(60):
            while not raised:
                await anyio.sleep(0.01)


async def test_a_greeting_that_returns_closes_the_stream(backend):
    async def greet(server, incoming):
        pass

    async with serving(backend, greet) as server:
        assert await send_raw(server, head(b"Host: x")) == b""


async def test_headers_of_the_101(backend):
    async def greet(server, incoming):
        async with server.rt.open_nursery() as nursery:
            sink = RecordingSink()
            transport = await incoming.accept(sink, nursery, [("X-Some", "thing")])
            await sink.carry(transport)
            nursery.cancel_scope.cancel()

    async with serving(backend, greet) as server:
        reply = await send_raw(server, head(*GOOD) + masked(8, b""))
        assert b"\r\nx-some: thing\r\n" in reply.lower()


# ---- limits


async def test_one_handshake_too_many_gives_up_the_oldest(backend, monkeypatch):
    monkeypatch.setattr(listen_module, "HANDSHAKES", 3)
    async with serving(backend, greeter) as server:
        silent = [await anyio.connect_tcp("127.0.0.1", server.port) for _ in range(5)]
        try:
            for stream in silent[:2]:
                assert await read_all(stream, within=2) == b""
            with anyio.move_on_after(0.1) as scope:
                await silent[2].receive()
            assert scope.cancelled_caught, "the newer ones may wait"
            await still_well(server)
        finally:
            for stream in silent:
                await stream.aclose()


async def test_a_peer_that_does_not_take_its_answer_is_given_up(backend):
    raised = []

    async def greet(server, incoming):
        try:
            await incoming.answer(200, (), b"x" * (64 << 20))
        except TimeoutError as exc:
            raised.append(exc)
            raise

    async with serving(backend, greet, handshake_timeout=0.3) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(head(b"Host: x"))
            with anyio.fail_after(60):
                while not raised:
                    await anyio.sleep(0.01)
    assert "did not take the reply" in str(raised[0])


@pytest.mark.slow
async def test_a_long_page_may_take_longer_than_a_handshake(backend):
    """What is bounded is the time without progress."""
    body = os.urandom(1 << 20) * 24

    async def greet(server, incoming):
        await incoming.answer(200, (), body)

    async with serving(backend, greet, handshake_timeout=1.0) as server:
        with socket.socket() as sock:
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(head(b"Host: x"))
            sock.setblocking(False)
            reply, slowly = b"", 8
            with anyio.fail_after(60):
                while chunk := await receive(sock):
                    reply += chunk
                    if slowly and len(reply) > (9 - slowly) << 21:
                        slowly -= 1
                        await anyio.sleep(0.2)
        assert reply.endswith(b"\r\n\r\n" + body)


async def receive(sock):
    while True:
        await anyio.wait_readable(sock)
        try:
            return sock.recv(1 << 20)
        except BlockingIOError:
            pass
