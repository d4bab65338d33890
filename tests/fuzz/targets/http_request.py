"""A request at the beginning of a stream: read in pieces, and by h11 at once; then its body, and
whether it opens a WebSocket, as the ``websockets`` package sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import h11
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tests.fuzz.cutting import cut
from vuer_trio._net import http_request
from vuer_trio._net.http_request import BadRequest, HttpRequest, read_body, read_request
from vuer_trio._websocket.upgrade import find_fault, response, switching

MAX_LEN = 900
#: bytes of a head, and of a body: small, so that inputs may be over them
LIMIT, BODY = 500, 60


def seeds() -> Iterator[bytes]:
    upgrade = (
        b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade"
        b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    yield b"\0\0" + upgrade + b"\r\n\x82\x80\0\0\0\0"
    yield b"\0\1" + upgrade + b"Origin: http://x\r\nSec-WebSocket-Protocol: a, b\r\n\r\n"
    yield b"\0\2" + upgrade + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    yield b"\0\0" + upgrade + b"Content-Length: 5\r\n\r\nabcde"
    yield b"\0\0" + upgrade.replace(b"13", b"8").replace(b"1.1", b"1.0") + b"\r\n"
    yield b"\0\3POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcdefg"
    yield b"\0\3POST / HTTP/1.1\r\nhost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab"
    chunked = b" / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield b"\0\4POST" + chunked + b"2;a=b\r\nab\r\n0\r\n"
    yield b"\0\4PUT" + chunked + b"3\r\nabc\r\n0\r\nA: b\r\n\r\n"
    yield b"\0\0HEAD * HTTP/1.0\n\n"
    yield b"\0\0GET / HTTP/2.0\r\n\r\n"
    yield b"\0\0GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"
    yield b"\0\0GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"
    yield b"\0\0GET / HTTP/1.1\r\nHost : x\r\n\xff: \xff\r\n\r\n"
    yield b"\0\0\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"
    yield b"\0\0GET /" + b"a" * 600 + b" HTTP/1.1\r\nHost: x\r\n\r\n"


class Stream:
    """Its pieces, and then the end."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = list(pieces)
        self.sent = b""

    async def receive(self) -> memoryview:
        return memoryview(self.pieces.pop(0) if self.pieces else b"")

    async def send_all(self, data: bytes) -> None:
        self.sent += data


def run(coroutine: Any) -> Any:
    """What it returns, or the exception that it may raise."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    except (BadRequest, ConnectionResetError) as exc:
        return exc
    raise AssertionError("something waited")


def one_input(data: bytes) -> None:
    if len(data) < 2:
        return
    with patch.object(http_request, "LIMIT", LIMIT):
        check_request(data[2:], data[1])


def check_request(data: bytes, how: int) -> None:
    stream = Stream(cut(data, how))
    found = run(read_request(stream))
    alone = h11_alone(data)
    if isinstance(found, BadRequest):
        assert 400 <= found.status < 600
        assert str(found).isprintable()
        # in pieces the limit is met before what is behind it
        assert alone is None or isinstance(alone, BadRequest) or found.status in (431, 505), found
        return
    if isinstance(found, ConnectionResetError):
        assert alone is None, alone
        return
    request, early = found
    assert isinstance(alone, h11.Request), alone
    assert request.method.encode() == alone.method
    assert request.target.encode() == alone.target
    assert [(n.encode(), v.encode("latin-1")) for n, v in request.headers] == list(alone.headers)
    assert len(repr(request)) < 100
    check_body(request, early, stream.pieces)
    check_upgrade(request)


def h11_alone(data: bytes) -> Any:
    """The event; None: there is not enough."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMIT)
    if data:  # none is the end
        http.receive_data(data)
    try:
        event = http.next_event()
    except h11.RemoteProtocolError as exc:
        return BadRequest(exc.error_status_hint, str(exc))
    return None if event is h11.NEED_DATA else event


def check_body(request: HttpRequest, early: bytes, pieces: list[bytes]) -> None:
    bodies = []
    whole = early + b"".join(pieces)
    for way in ((early, pieces), (whole, []), (b"", cut(whole, 1))):
        stream = Stream(way[1])
        found = run(read_body(stream, request, way[0], BODY))
        if isinstance(found, BadRequest):
            assert 400 <= found.status < 600
        elif isinstance(found, bytes):
            assert len(found) <= BODY
        bodies.append((type(found), found if isinstance(found, bytes) else None))
    assert bodies.count(bodies[0]) == 3, bodies


def check_upgrade(request: HttpRequest) -> None:
    fault = find_fault(request)
    headers = Headers()
    for name, value in request.headers:
        if name in ("origin", "sec-websocket-protocol", "sec-websocket-extensions"):
            continue  # for the server to look at, or nobody
        headers.set_insecure(name, value)  # h11 has looked at it
    protocol = ServerProtocol()
    asked = Request(
        request.target, headers, method=request.method, protocol=f"HTTP/{request.version}"
    )
    alone = protocol.accept(asked)
    if fault is not None:
        response(fault.status, fault.headers, len(fault.why))
        assert fault.status in (400, 405, 426, 505)
        has_body = "content-length" in headers or "transfer-encoding" in headers
        assert alone.status_code != 101 or has_body, fault
        return
    if alone.status_code != 101:
        # it wants no other protocol to be offered, and lists without empty members
        several = request.tokens("upgrade") != {"websocket"}
        assert several or "," in (request.header("upgrade") or "") or strange(request), (
            request.headers,
            protocol.handshake_exc,
        )
    answer = switching(request)
    assert answer.startswith(b"HTTP/1.1 101 ")
    if alone.status_code == 101:
        assert alone.headers["Sec-WebSocket-Accept"].encode() in answer


def strange(request: HttpRequest) -> bool:
    """Whether a header that is a list has members that are no tokens."""
    names = [*request.tokens("connection"), *request.tokens("upgrade")]
    return any(not name.replace("-", "").isalnum() or not name.isascii() for name in names)
