"""The Engine.IO 4 and Socket.IO 5 packets that Roomz uses.

The codec uses the packet classes of ``python-engineio`` and ``python-socketio``. They expect
well-behaved peers, so packets that they would misread or fail on are rejected here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from .._errors import ProtocolError
from .._json import TooDeep, TooMany, check_json
from .._websocket.transport import Message, Text
from .errors import needed

__all__ = ["CONNECT", "PONG", "Kind", "Packet", "decode", "encode_event", "load_codec"]


class Kind(Enum):
    """The meaning of a packet from the server."""

    OPEN = "open"  # data: the server's terms
    CLOSE = "close"
    PING = "ping"
    CONNECTED = "connected"
    REFUSED = "refused"  # data: why, a str
    LEFT = "left"
    EVENT = "event"  # data: a name and a dict
    REPLY = "reply"  # data: what was answered; number: to which call
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Packet:
    kind: Kind
    data: Any = None
    number: int | None = None


#: sent to the server: connect to the main namespace, and the answer to a ping
CONNECT = Text(b"40")
PONG = Text(b"3")

_ENGINE = {"1": Kind.CLOSE, "2": Kind.PING, "3": Kind.NOTHING, "5": Kind.NOTHING, "6": Kind.NOTHING}


@cache
def load_codec() -> tuple[Any, Any]:
    """Import the two packet classes. Raises ImportError that names the extra.

    The import takes a quarter of a second, so it is done before connecting.
    """
    engine = needed("engineio.packet")
    socket = needed("socketio.packet")
    return engine.Packet, socket.Packet


def decode(message: Message) -> Packet:
    """Decode a WebSocket message. Raises ProtocolError if it is not a valid packet."""
    if type(message) is not Text:
        raise ProtocolError("a binary message, where Roomz sends text", frame=bytes(message))
    try:
        packet = _decode(str(message, "utf-8"))
    # On untrusted data, the packages raise UnicodeDecodeError, ValueError, RecursionError, ...
    except Exception as exc:
        # The text of their errors may quote the message.
        told = str(exc) if isinstance(exc, TooDeep | TooMany) else type(exc).__name__
        why = f"{told}, {len(message)} bytes"
        raise ProtocolError(f"a malformed packet ({why})", frame=message) from None
    if packet is None:
        raise ProtocolError(f"an unknown packet ({len(message)} bytes)", frame=message)
    return packet


def _decode(text: str) -> Packet | None:
    engine_class, socket_class = load_codec()
    check_json(text)
    digit, body = text[:1], text[1:]
    if digit in _ENGINE:
        return Packet(_ENGINE[digit])
    if digit == "0":
        terms = engine_class(encoded_packet=text).data
        return Packet(Kind.OPEN, terms) if isinstance(terms, dict) else None
    # `body[:1] in "01234"` would accept an empty body; types 5 and 6 have binary attachments.
    if digit != "4" or body[:1] not in tuple("01234"):
        return None
    # Not from the Engine.IO packet, which decodes a body that looks like JSON.
    packet = socket_class(encoded_packet=body)
    if packet.namespace not in (None, "/"):
        return Packet(Kind.NOTHING)
    data = packet.data
    match packet.packet_type:
        case 0:
            return Packet(Kind.CONNECTED)
        case 1:
            return Packet(Kind.LEFT)
        case 2:
            return _event(data)
        case 3 if packet.id is not None and isinstance(data, list):
            return Packet(Kind.REPLY, data[0] if data else None, packet.id)
        case 4:
            why = data.get("message") if isinstance(data, dict) else data
            return Packet(Kind.REFUSED, why if isinstance(why, str) else "no reason given")
    return None


def _event(data: Any) -> Packet | None:
    match data:
        case [str(name)]:
            return Packet(Kind.EVENT, (name, {}))
        case [str(name), dict(arguments), *_]:
            return Packet(Kind.EVENT, (name, arguments))
    return None


def encode_event(name: str, data: dict[str, Any], number: int) -> Text:
    """Encode an event that requests an acknowledgement. ``data`` must not contain bytes."""
    engine_class, socket_class = load_codec()
    body = socket_class(2, data=[name, data], id=number, binary=False).encode()
    return Text(engine_class(4, data=body).encode().encode())
