"""A packet of Roomz: what `decode` makes of it, and the packages alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engineio.packet import Packet as EnginePacket
from socketio.packet import Packet as SocketPacket

from vuer_trio import ProtocolError
from vuer_trio._json import check_json
from vuer_trio._websocket.transport import Text
from vuer_trio.roomz.packets import Kind, decode, encode_event, load_codec

MAX_LEN = 500
load_codec()

#: what a type of Socket.IO's is here, if it is of the main namespace
_KINDS = {
    0: Kind.CONNECTED,
    1: Kind.LEFT,
    2: Kind.EVENT,
    3: Kind.REPLY,
    4: Kind.REFUSED,
}


def seeds() -> Iterator[bytes]:
    yield b'0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'
    yield from (b"1", b"2", b"2probe", b"3", b"5", b"6", b"40", b"41", b'40{"sid":"x"}', b"4")
    yield b'42["message",{"content":"hi","room":"a","at":1.5}]'
    yield b'42["joined"]'
    yield b'42/other,["joined",{}]'
    yield b'42/,7["joined",{}]'
    yield b'4317[{"status":"ok"}]'
    yield b"431[]"
    yield b'44{"message":"no"}'
    yield b'44/other?a=b,"no"'
    yield b'4512-["m",{"_placeholder":true,"num":0}]'
    yield b'423-["m",{"_placeholder":true,"num":0}]'
    yield '42²["m"]'.encode()
    yield b"43" + b"1" * 101 + b"[]"
    yield b'42["m",' + b"[" * 65 + b"]" * 65 + b"]"
    yield b"b4"


def one_input(data: bytes) -> None:
    try:
        found = decode(Text(data))
    except ProtocolError as exc:
        assert exc.frame == data
        found = None
    try:
        decode(data)
        raise AssertionError("a binary message was taken")
    except ProtocolError:
        pass
    if found is None:
        assert not is_event(data), "it is refused"
        return
    text = data.decode()
    engine = EnginePacket(encoded_packet=text)
    if found.kind is Kind.OPEN:
        assert (engine.packet_type, engine.data) == (0, found.data)
    elif text[:1] == "4":
        check_message(SocketPacket(encoded_packet=text[1:]), found)
    if found.kind is Kind.EVENT:
        name, arguments = found.data
        check_sending(name, arguments)


def is_event(data: bytes) -> bool:
    """Whether the packages have no doubt: a name, and perhaps its arguments."""
    try:
        alone = SocketPacket(encoded_packet=data.decode().removeprefix("4"))
        check_json(data.decode())
    except Exception:  # they raise what they like
        return False
    if data[:2] != b"42" or alone.namespace not in (None, "/"):
        return False
    match alone.data:
        case [str()] | [str(), dict(), *_]:
            return True
    return False


def check_message(alone: Any, found: Any) -> None:
    if alone.namespace not in (None, "/"):
        assert found.kind is Kind.NOTHING
        return
    assert found.kind is _KINDS[alone.packet_type], (found, alone.packet_type)
    if found.kind is Kind.EVENT:
        assert [*found.data][: len(alone.data)] == alone.data[:2]
    elif found.kind is Kind.REPLY:
        assert (found.number, found.data) == (alone.id, alone.data[0] if alone.data else None)
    elif found.kind is Kind.REFUSED:
        assert type(found.data) is str


def check_sending(name: str, arguments: dict[str, Any]) -> None:
    """What has come can be sent."""
    again = decode(encode_event(name, arguments, 5))
    assert repr(again.data) == repr((name, arguments))
