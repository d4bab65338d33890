"""The server at which the clients of these programs are compared.

It reads the socket in a thread of its own, so it is the same for Trio and for asyncio, and decodes
frames as RFC 6455 has them, with no library in between that might mend something. Each message must
be an event in msgpack.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
from contextlib import suppress

import msgpack

__all__ = ["StrictServer"]

_LARGE = 1 << 20  # bytes
_PART = 1 << 16  # bytes
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_DEADLINE = 60.0  # seconds


class _ProtocolError(Exception):
    """It is not as the RFC wants it."""


class StrictServer:
    """One connection after another.

    It stops reading in the middle of the first image, until the program calls `read_on`. An event
    BREAK makes it reset the connection, as a router does that has forgotten it.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        # as small as the system allows; a connection gets it from its listener
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PART)
        self._connection = self._listener
        self._stopped_reading = threading.Event()
        self._reading_on = threading.Event()
        self._ended = threading.Event()
        self._decoded: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._listener.getsockname()[1]}"

    def wait_stopped_reading(self) -> None:
        assert self._stopped_reading.wait(_DEADLINE)

    def read_on(self) -> None:
        self._reading_on.set()

    def decoded(self) -> str:
        """Once the client has closed: the events that it could decode, and why no more."""
        assert self._ended.wait(_DEADLINE)
        return ", ".join(self._decoded) or "nothing"

    # ---- the thread

    def _serve(self) -> None:
        while not self._ended.is_set():
            self._connection, _ = self._listener.accept()
            with self._connection:
                try:
                    self._shake_hands()
                    self._read_messages()
                except _ProtocolError as error:
                    self._decoded.append(str(error))
                except ConnectionResetError:
                    continue
            self._ended.set()
        self._listener.close()

    def _shake_hands(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._read(1)
        lines = [line.partition(": ") for line in head.decode().split("\r\n")]
        fields = {name.lower(): value for name, _, value in lines}
        key = fields["sec-websocket-key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def _read_messages(self) -> None:
        message: list[bytes] = []
        while first := self._connection.recv(1):
            final, opcode = first[0] & 0x80, first[0] & 0x0F
            if first[0] & 0x70 or opcode not in {0, _BINARY, _CLOSE, _PING, _PONG}:
                raise _ProtocolError("what is no frame")
            payload = self._read_payload()
            if opcode == _CLOSE:
                self._write(bytes([0x80 | _CLOSE, 0]))
                return
            elif opcode == _PING:
                self._write(bytes([0x80 | _PONG, len(payload)]) + payload)
            elif opcode != _PONG:
                if bool(message) != (opcode == 0):
                    raise _ProtocolError("a fragment of something else")
                message.append(payload)
                if final:
                    self._take(b"".join(message))
                    message = []

    def _read_payload(self) -> bytes:
        (second,) = self._read(1)
        if not second & 0x80:
            raise _ProtocolError("a frame without a mask")
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(self._read(2 if length == 126 else 8))
        mask = self._read(4)
        begin = self._read(_PART) if length > _LARGE else b""
        if begin and not self._reading_on.is_set():
            self._stopped_reading.set()
            self._reading_on.wait()
        masked = begin + self._read(length - len(begin))
        wide = (mask * (length // 4 + 1))[:length]
        return (int.from_bytes(masked) ^ int.from_bytes(wide)).to_bytes(length)

    def _take(self, message: bytes) -> None:
        try:
            content = msgpack.unpackb(message)
            etype, value = content["etype"], content["value"]
        except Exception as error:
            raise _ProtocolError("what is no event") from error
        if etype == "BREAK":
            linger = struct.pack("ii", 1, 0)  # no seconds: closing resets
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            raise ConnectionResetError
        if etype != "INIT":
            self._decoded.append(f"{etype} {value[0]}" if value else etype)

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            more = self._connection.recv(min(count - len(data), 1 << 20))
            if not more:
                raise _ProtocolError("half a frame")
            data += more
        return bytes(data)

    def _write(self, data: bytes) -> None:
        with suppress(BrokenPipeError):  # a client that has gone reads no answer
            self._connection.sendall(data)
