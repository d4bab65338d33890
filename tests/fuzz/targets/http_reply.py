"""The reply that a client gets: what is made of it, in pieces, and what the ``websockets`` package
makes of it; and that every library takes what it gets of a good one."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1
from typing import Any

from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from tests.fuzz.cutting import cut
from vuer_trio._net.address import parse_address
from vuer_trio._net.http_reply import ReplyParser, plain_switching
from vuer_trio._net.rejection import GUID, Rejected
from vuer_trio._websocket.protocol import Request
from vuer_trio._websocket.websockets_protocol import WebsocketsClientProtocol
from vuer_trio._websocket.wsproto_protocol import WsprotoClientProtocol

MAX_LEN = 700
#: where in an input the answer to the key belongs
_MARK = b"ACCEPT"


def seeds() -> Iterator[bytes]:
    good = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: ACCEPT\r\n"
    )
    yield b"\0\0" + good + b"\r\n\x82\0"
    yield b"\1\1" + good + b"Sec-WebSocket-Protocol: a\r\n\r\n"
    yield b"\1\2" + good + b"Sec-WebSocket-Protocol: c\r\nSec-WebSocket-Protocol: a\r\n\r\n"
    yield b"\2\2" + good + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    yield b"\0\0" + good + b"Sec-WebSocket-Extensions: x\r\n\r\n"
    yield b"\0\3" + good.replace(b"\r\n", b"\n") + b"A: b\n c\n\n"
    yield b"\0\3HTTP/1.1 100 Continue\r\n\r\n" + good + b"\r\n"
    yield b"\0\0HTTP/1.0 302 Found\r\nLocation: ws://b/\r\n\r\n"
    yield b"\0\0HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno.."
    yield b"\0\0HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    yield b"\0\0HTTP/1.1 401 \xff\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b"
    yield b"\0\0HTTP/2 200\r\n\r\n"
    yield b"\0\0SSH-2.0-OpenSSH\r\n"
    yield b"\0\0" + b"HTTP/1.1 103 Early\r\n\r\n" * 18


def one_input(data: bytes) -> None:
    if len(data) < 2:
        return
    options: dict[str, Any] = {}
    if data[0] & 1:
        options["subprotocols"] = ["a", "b"]
    if data[0] & 2:
        options["compression"] = "deflate"
    package = WebsocketsClientProtocol(Request(parse_address("ws://x/"), 1000, **options))
    request = package.request()
    key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    reply = data[2:].replace(_MARK, b64encode(sha1(key + GUID).digest()))
    found = read(cut(reply, data[1]))
    whole = read([reply])
    if isinstance(found, Rejected) or isinstance(whole, Rejected):
        assert isinstance(found, Rejected), found
        assert isinstance(whole, Rejected), whole
        assert str(found).isprintable()
        return
    told = (whole.status, whole.version, whole.fields, whole.fault, whole.whole, whole.rest)
    assert (found.status, found.version, found.fields, found.fault, found.whole, found.rest) == told
    repr(found.line), found.redirects, found.interim
    if not whole.whole:
        assert not alone(package, reply)
        return
    if whole.status != 101:
        return
    try:
        plain = plain_switching(request, whole)
    except Rejected as exc:
        assert str(exc).isprintable()
        assert not alone(package, reply), exc
        return
    try:
        package.receive_head(plain)
    except Rejected as exc:
        assert whole.values("sec-websocket-extensions"), exc
    else:
        assert package.compressed == bool(whole.values("sec-websocket-extensions"))
    if not data[0] & 2:
        check_wsproto(options, whole, key)


def read(pieces: list[bytes]) -> Any:
    parser = ReplyParser()
    try:
        for piece in pieces:
            parser.feed(piece)
    except Rejected as exc:
        return exc
    parser.body_ended, parser.body  # for what they raise
    return parser.reply


def alone(package: Any, reply: bytes) -> bool:
    """Whether the ``websockets`` package opens a connection on it, alone."""
    same = ClientProtocol(
        parse_uri("ws://x/"),
        subprotocols=package._client.available_subprotocols,
        extensions=package._client.available_extensions,
    )
    same.key = package._client.key
    same.receive_data(reply)
    same.receive_eof()
    same.events_received()
    return same.state.name != "CONNECTING" and same.handshake_exc is None


def check_wsproto(options: dict[str, Any], whole: Any, key: bytes) -> None:
    package = WsprotoClientProtocol(Request(parse_address("ws://x/"), 1000, **options))
    request = package.request()
    mine = next(line.split(b": ")[1] for line in request.split(b"\r\n") if b"key:" in line.lower())
    accept = b64encode(sha1(mine + GUID).digest()).decode()
    fields = [(n, accept if n == "sec-websocket-accept" else v) for n, v in whole.fields]
    whole.fields = fields
    package.receive_head(plain_switching(request, whole))
    assert package.subprotocol == next(iter(whole.values("sec-websocket-protocol")), None)
