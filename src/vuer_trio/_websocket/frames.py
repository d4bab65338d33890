"""Frames as bytes (RFC 6455 §5.2), a client's and a server's: the little on the hot path.

Only whole binary messages and the smallest control frames are framed here; everything else is
the protocol library's.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

from .transport import Outgoing, Ping, Prepared, Text

__all__ = [
    "BINARY",
    "CLIENT",
    "CLOSE",
    "FIRST",
    "KEYS",
    "PING",
    "PONG",
    "SERVER",
    "TEXT",
    "Role",
    "apply_mask",
    "close_payload",
    "close_reason",
    "frame",
    "header",
    "new_key",
    "prefix",
    "prepare",
    "server_frame",
    "server_header",
    "whole_size",
]

#: FIN and opcode
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
#: of a payload that says by its class what it is; any other is a binary message
FIRST: dict[type, int] = {Ping: PING, Text: TEXT}

_MASKED = 0x80
_MASKED_16 = _MASKED | 126
_header7 = struct.Struct("!BB4s").pack
_header16 = struct.Struct("!BBH4s").pack
_prefix16 = struct.Struct("!BBH").pack
_header64 = struct.Struct("!BBQ4s").pack
_server_header7 = struct.Struct("!BB").pack
_server_header64 = struct.Struct("!BBQ").pack


def xor(data: bytes | bytearray | memoryview, key: bytes) -> bytes:
    """Mask ``data`` without C: as two big integers."""
    size = len(data)
    repeated = (key * ((size + 3) >> 2))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(
        size, "little"
    )


apply_mask: Callable[[bytes | bytearray | memoryview, bytes], bytes]
try:
    from websockets.speedups import apply_mask
except ImportError:  # not installed, or built without C
    apply_mask = xor


#: masking keys for `new_key`, of all threads: taking one is a single step, as a generator's is not
KEYS: list[bytes] = []
_split = struct.Struct("4s" * 1024).unpack


def new_key() -> bytes:
    """A fresh and unpredictable masking key (RFC 6455 §5.3); 1,024 for each system call."""
    try:
        return KEYS.pop()
    except IndexError:
        KEYS.extend(_split(os.urandom(4096)))
        return new_key()


def header(first: int, size: int, key: bytes) -> bytes:
    """The header of a masked frame of ``size`` bytes."""
    if size < 126:
        return _header7(first, _MASKED | size, key)
    if size < 65_536:
        return _header16(first, _MASKED_16, size, key)
    return _header64(first, _MASKED | 127, size, key)


def prefix(size: int) -> bytes:
    """Of a masked binary message of up to 65,535 bytes: its header without the key."""
    if size < 126:
        return _server_header7(BINARY, _MASKED | size)
    return _prefix16(BINARY, _MASKED_16, size)


def frame(payload: bytes | bytearray | memoryview, first: int = BINARY) -> bytes:
    """One whole masked frame."""
    key = new_key()
    return header(first, len(payload), key) + apply_mask(payload, key)


def server_header(first: int, size: int) -> bytes:
    """The header of a frame of ``size`` bytes that is not masked."""
    if size < 126:
        return _server_header7(first, size)
    if size < 65_536:
        return _prefix16(first, 126, size)
    return _server_header64(first, 127, size)


def server_frame(payload: bytes | bytearray | memoryview, first: int = BINARY) -> bytes:
    """One whole frame that is not masked."""
    return server_header(first, len(payload)) + payload


def whole_size(data: bytes) -> int:
    """Bytes of a frame, of which at least the header is here."""
    size = data[1] & 0x7F
    body = 2
    if size > 125:
        body = 4 if size == 126 else 10
        size = int.from_bytes(data[2:body])
    return body + size + (4 if data[1] & _MASKED else 0)


@dataclass(frozen=True, slots=True)
class Role:
    """What one side of a connection does otherwise than the other."""

    #: makes one whole frame of a payload and its first byte
    frame: Callable[[bytes, int], bytes]
    #: whether the frames of the other side are masked
    is_server: bool

    def framed(self, payload: Outgoing) -> bytes:
        """One whole frame for a message or a ping."""
        kind = type(payload)
        return payload if kind is Prepared else self.frame(payload, FIRST.get(kind, BINARY))


CLIENT = Role(frame, is_server=False)
SERVER = Role(server_frame, is_server=True)


def prepare(payload: bytes) -> Prepared:
    """Frame a message once, for all connections of a server: binary, or a `Text`."""
    return Prepared(server_header(FIRST.get(type(payload), BINARY), len(payload)) + payload)


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame: at most 125 bytes, cut between characters."""
    return struct.pack("!H", code) + close_reason(reason).encode()


def close_reason(reason: str) -> str:
    """As much of it as fits into a close frame (RFC 6455 §5.5.1)."""
    return reason.encode()[:123].decode(errors="ignore")
