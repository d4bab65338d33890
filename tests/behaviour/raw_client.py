"""A client that sends any bytes, and a server with a witness: another session that lives on."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.abc
import msgpack

from tests.resource_counts import open_sockets, task_count
from vuer_trio import open_vuer_server
from vuer_trio.events import ClientEvent, ServerEvent

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Raw",
    "Witnessed",
    "eventually",
    "masked",
    "pack",
    "request",
    "witnessed",
]

BINARY, TEXT, CONTINUATION, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10


def masked(payload: bytes, opcode: int = BINARY, *, fin: bool = True, bits: int = 0) -> bytes:
    """A client's frame; ``bits`` are the reserved ones (0x40, 0x20, 0x10)."""
    size = len(payload)
    first = (0x80 if fin else 0) | bits | opcode
    if size < 126:
        header = struct.pack("!BB", first, 0x80 | size)
    elif size < 65_536:
        header = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        header = struct.pack("!BBQ", first, 0x80 | 127, size)
    key = b"\x01\x02\x03\x04"
    whole = key * (size // 4 + 1)
    return header + key + bytes(a ^ b for a, b in zip(payload, whole, strict=False))


def request(path: str = "/", *more: str) -> bytes:
    """A good upgrade."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket"]
    lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *more]
    return "\r\n".join([*lines, "", ""]).encode()


async def eventually(condition: Any, within: float = 60.0) -> None:
    """Before the deadline, which is for what never comes: a busy machine is not to reach it."""
    with anyio.fail_after(within):
        while not condition():
            await anyio.sleep(0.002)


class Raw:
    """An open TCP connection, and what came over it."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self.stream = stream
        self.received = b""

    async def handshake(self) -> None:
        await self.stream.send(request())
        while b"\r\n\r\n" not in self.received:
            self.received += await self.stream.receive()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    async def send(self, data: bytes) -> bool:
        """Whether it could be sent."""
        try:
            await self.stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        return True

    async def read_to_the_end(self, within: float = 15.0) -> None:
        with anyio.fail_after(within):
            try:
                while True:
                    self.received += await self.stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass

    def frames(self) -> list[tuple[int, bytes]]:
        """Opcode and payload of what was received."""
        found, data = [], self.received
        while len(data) >= 2:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4]), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10]), 10
            found.append((data[0] & 15, data[start : start + size]))
            data = data[start + size :]
        return found

    async def data(self, count: int) -> list[Any]:
        """The ``data`` of all events, once so many have come."""
        with anyio.fail_after(60):
            while len(found := [p for opcode, p in self.frames() if opcode == BINARY]) < count:
                self.received += await self.stream.receive()
        return [msgpack.unpackb(payload)["data"] for payload in found]

    async def stays_silent(self) -> None:
        with anyio.move_on_after(0.1):
            self.received += await self.stream.receive()
        assert self.received == b""

    def close_frame(self) -> tuple[int, str] | None:
        """Code and reason of the server's close frame; 1005 if it has none (RFC 6455 §7.1.5)."""
        for opcode, payload in self.frames():
            if opcode == CLOSE:
                return (int.from_bytes(payload[:2]) if payload else 1005), payload[2:].decode()
        return None

    async def end(self) -> None:
        """FIN, if it is still open."""
        with suppress(OSError, RuntimeError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self.stream.send_eof()

    async def reset(self) -> None:
        """RST."""
        sock = self.stream.extra(anyio.abc.SocketAttribute.raw_socket)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.stream.aclose()


@asynccontextmanager
async def raw(port: int) -> AsyncIterator[Raw]:
    stream = await anyio.connect_tcp("127.0.0.1", port)
    try:
        yield Raw(stream)
    finally:
        await anyio.aclose_forcefully(stream)


class Witnessed:
    """A server, and a client whose events come back."""

    def __init__(self, app: Any, server: Any, client: Any) -> None:
        self.app, self.server, self.client = app, server, client
        self.count = 0
        self.tasks = self.sockets = 0

    def raw(self) -> Any:
        return raw(self.server.port)

    async def echo(self) -> None:
        """Whether the witness has noticed anything."""
        self.count += 1
        self.client.send @ ClientEvent(etype="ECHO", value=self.count)
        assert (await self.client.recv(timeout=60)).data == self.count

    async def nothing_is_left(self, *, idle: bool = True) -> None:
        """But the witness."""
        await self.echo()
        await eventually(lambda: len(self.app.sessions) == 1)
        await eventually(lambda: task_count() <= self.tasks)
        await eventually(lambda: open_sockets() <= self.sockets)
        if idle:
            assert min([await _busy() for _ in range(5)]) < 0.025, "something is still at work"


async def _busy() -> float:
    """Of 50 ms, how many seconds this process works; the collector of garbage may come at once."""
    began = time.process_time()
    await anyio.sleep(0.05)
    return time.process_time() - began


def pack(etype: str, value: Any = None) -> bytes:
    return msgpack.packb({"etype": etype, "value": value})


@asynccontextmanager
async def witnessed(app: Any, open_client: Any) -> AsyncIterator[Witnessed]:
    @app.add_handler("ECHO")
    async def echo(event, session):
        session @ ServerEvent(event.value, etype="ECHO")

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        both = Witnessed(app, server, client)
        await both.echo()
        both.tasks, both.sockets = task_count(), open_sockets()
        yield both
