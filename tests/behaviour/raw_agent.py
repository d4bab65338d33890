"""An agent that sends any JSON to a relay, plain HTTP requests, and the recorded exchanges."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from tests import DATA
from tests.behaviour.transport_harness import connected
from vuer_trio._websocket.transport import Text

__all__ = ["VECTORS", "RawAgent", "http", "raw_agent"]

VECTORS: list[dict[str, Any]] = json.loads((DATA / "arc.json").read_text("utf-8"))


async def http(
    port: int, method: str, target: str, body: bytes = b"", headers: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """One request, byte for byte; status, headers and body of the answer."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}"
        if body or method == "POST":
            head += f"Content-Length: {len(body)}\r\n"
        await stream.send(head.encode() + b"\r\n" + body)
        received = b""
        try:
            while True:
                received += await stream.receive()
        except anyio.EndOfStream:
            pass
    answer, _, content = received.partition(b"\r\n\r\n")
    status, *lines = answer.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), fields, content


class RawAgent:
    """An agent of a test's own: JSON texts in and out."""

    def __init__(self, sink: Any) -> None:
        self.sink = sink
        self._taken = 0

    def send(self, frame: Any) -> None:
        """Bytes, or a text."""
        self.sink.send(frame if isinstance(frame, bytes) else Text(frame.encode()))

    async def next(self) -> dict[str, Any]:
        with anyio.fail_after(60):
            await self.sink.until(lambda: len(self.sink.messages) > self._taken)
        self._taken += 1
        is_text, data = self.sink.messages[self._taken - 1]
        assert is_text
        found = json.loads(data)
        assert isinstance(found, dict)
        return found

    async def drain(self) -> list[dict[str, Any]]:
        """All that is for it so far: an error is told to the connection, behind all else, and
        no recorded frame gets this one."""
        self.send("[" * 3000)
        found = []
        while (frame := await self.next())["payload"] != _END:
            found.append(frame)
        return found


_END = {"code": "invalid_message", "message": "Nested too deeply"}


@asynccontextmanager
async def raw_agent(port: int, token: str, transport: str = "auto") -> AsyncIterator[RawAgent]:
    uri = f"ws://127.0.0.1:{port}/arc?token={token}"
    async with connected(uri, transport) as sink:
        yield RawAgent(sink)
