"""The far end of a connection of ours, in either role: it sends any frames, and sees the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from tests.behaviour.raw_client import CLOSE, PONG, masked, raw
from tests.behaviour.transport_harness import MAX_SIZE, RecordingSink, serving
from tests.scripted_server import serve_peer
from vuer_trio._net.address import parse_address
from vuer_trio._net.connect_options import ConnectOptions
from vuer_trio._runtime import runtime
from vuer_trio._websocket.connect import dial

__all__ = ["ROLES", "FarEnd", "far_ends", "unmasked"]

#: what our side is
ROLES = ["client", "server"]
#: seconds; only broken code gets there
PATIENCE = 60


def unmasked(payload: bytes, opcode: int = 2, *, fin: bool = True, bits: int = 0) -> bytes:
    """A server's frame."""
    frame = masked(payload, opcode, fin=fin, bits=bits)
    size = len(frame) - len(payload)
    return frame[:1] + bytes([frame[1] & 0x7F]) + frame[2 : size - 4] + payload


class FarEnd:
    """``sink`` is our side's sink."""

    def __init__(self, role: str, sink: RecordingSink, send: Any, answer: Any, pongs: Any) -> None:
        self.sink = sink
        self.frame = masked if role == "server" else unmasked
        self.wrong_frame = unmasked if role == "server" else masked
        self.send = send
        self._answer = answer
        self._pongs = pongs

    async def close_frame(self) -> tuple[int, bytes] | None:
        """Code (1005 for none) and reason of our side's close frame; None for an end without."""
        with anyio.fail_after(PATIENCE):
            payload = await self._answer()
        if payload is None:
            return None
        return (int.from_bytes(payload[:2]) if payload else 1005), payload[2:]

    async def pongs(self, count: int) -> list[bytes]:
        """That many pongs of our side's."""
        with anyio.fail_after(PATIENCE):
            found: list[bytes] = await self._pongs(count)
        return found

    async def until(self, condition: Any) -> None:
        with anyio.fail_after(PATIENCE):
            await self.sink.until(condition)


@asynccontextmanager
async def far_ends(backend: Any, role: str) -> AsyncIterator[Any]:
    """``async with opened() as far`` opens a connection anew, as often as one likes."""
    if role == "server":
        async with serving(backend, _serve) as server:
            yield lambda: _to_server(server)
    else:
        async with serve_peer(_accept) as peer:
            yield lambda: _to_client(peer, backend)


async def _serve(server: Any, incoming: Any) -> None:
    await server.serve(incoming, RecordingSink())


async def _accept(conn: Any) -> None:
    await conn.accept()


@asynccontextmanager
async def _to_server(server: Any) -> AsyncIterator[FarEnd]:
    count = len(server.sinks)
    async with raw(server.port) as far:
        await far.handshake()
        with anyio.fail_after(PATIENCE):
            while len(server.sinks) == count:
                await anyio.sleep(0.001)

        async def answer() -> bytes | None:
            with suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                while not any(opcode == CLOSE for opcode, _ in far.frames()):
                    far.received += await far.stream.receive()
            return next((payload for opcode, payload in far.frames() if opcode == CLOSE), None)

        async def pongs(count: int) -> list[bytes]:
            while sum(opcode == PONG for opcode, _ in far.frames()) < count:
                far.received += await far.stream.receive()
            return [payload for opcode, payload in far.frames() if opcode == PONG]

        async def send(data: bytes) -> None:
            with suppress(OSError):  # our side has ended it
                await far.send(data)

        yield FarEnd("server", server.sinks[-1], send, answer, pongs)


@asynccontextmanager
async def _to_client(peer: Any, backend: Any) -> AsyncIterator[FarEnd]:
    rt, sink, count = runtime(), RecordingSink(), len(peer.connections)
    dialing = ConnectOptions(parse_address(peer.uri), MAX_SIZE, transport=backend.transport)
    async with rt.open_nursery() as nursery:
        transport = await dial(rt, dialing, sink, nursery)
        nursery.start_soon(sink.carry, transport)
        conn = await peer.connection(count)

        async def send(data: bytes) -> None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await conn.send_raw(data)

        async def answer() -> bytes | None:
            await conn.wait_ended()
            if conn.close_code is None:
                return None
            code = b"" if conn.close_code == 1005 else conn.close_code.to_bytes(2)
            return code + conn.close_reason.encode()

        async def pongs(count: int) -> list[bytes]:
            await conn.wait_until(lambda: len(conn.pongs) >= count)
            found: list[bytes] = conn.pongs
            return found

        yield FarEnd("client", sink, send, answer, pongs)
        nursery.cancel_scope.cancel()
