"""A server that reads a request's head, and then says what the test wants."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from typing import Any

import anyio
import anyio.abc
import msgpack

__all__ = ["HELLO", "Handshake", "HandshakeServer", "answering", "field", "switching"]

_EVENT = msgpack.packb({"etype": "HELLO", "data": 1, "ts": 1.0})
#: a frame with one event
HELLO = bytes([0x82, len(_EVENT)]) + _EVENT


def field(request: bytes, name: str) -> str | None:
    """A header of a request; None if it has none."""
    found = re.search(rf"(?im)^{name}:[ \t]*([^\r\n]*)", request.decode("latin-1"))
    return None if found is None else found[1]


def switching(request: bytes, *lines: str, end: str = "\r\n", accept: str | None = None) -> bytes:
    """A good 101, with more headers; ``end`` of each line."""
    key = (field(request, "sec-websocket-key") or "").encode()
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    fits = b64encode(sha1(key + guid).digest()).decode()
    head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    head.append(f"Sec-WebSocket-Accept: {accept or fits}")
    return end.join([*head, *lines, "", ""]).encode("latin-1")


class Handshake:
    """One connection, whose ``request`` has been read."""

    def __init__(self, stream: anyio.abc.ByteStream, request: bytes) -> None:
        self.stream = stream
        self.request = request

    async def send(self, data: bytes, step: int = 0) -> None:
        """``step`` bytes at a time."""
        with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            for start in range(0, len(data), step or len(data)):
                await self.stream.send(data[start : start + (step or len(data))])

    async def left(self) -> None:
        """The other side has gone; an answer to a close frame is given."""
        with suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError):
            while data := await self.stream.receive():
                if b"\x88\x82" in data:  # a masked close frame with nothing but a code
                    await self.send(b"\x88\x00")
                    return  # and the stream is closed


class HandshakeServer:
    """``asked`` has all requests."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.port = 0

    @property
    def uri(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


@asynccontextmanager
async def answering(
    answer: Callable[[Handshake], Awaitable[Any]] | bytes, host: str = "127.0.0.1"
) -> AsyncIterator[HandshakeServer]:
    """``answer(asked)`` says what it likes; bytes are said. Then the other side is to leave."""
    server = HandshakeServer()

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            head = b""
            with suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                while b"\r\n\r\n" not in head:
                    head += await stream.receive()
                asked = Handshake(stream, head)
                server.asked.append(head)
                if isinstance(answer, bytes):
                    await asked.send(answer)
                else:
                    await answer(asked)
                await asked.left()

    listener = await anyio.create_tcp_listener(local_host=host, local_port=0)
    server.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield server
        tasks.cancel_scope.cancel()
