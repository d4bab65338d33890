"""What the behavioural tests share."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.abc
import msgpack
import sniffio
import trio

from vuer_trio.events import ClientEvent
from vuer_trio.testing.leaks import Census

__all__ = ["Number", "numbers", "open_sockets", "open_stream", "task_count"]


class Number(ClientEvent):
    """An event that carries a number, and may be padded with ``pad`` bytes."""

    etype = "NUMBER"


def numbers(messages: list[Any]) -> list[Any]:
    """The values of the NUMBER events among a peer's messages; padding left out."""
    events = [msgpack.unpackb(message) for message in messages]
    return [event["value"] for event in events if event["etype"] == "NUMBER"]


def open_sockets() -> int:
    """Sockets of this process."""
    return len(Census.take().sockets)


def task_count() -> int:
    """Tasks of the running loop."""
    return len(Census.take().tasks)


class Dribble(anyio.abc.ByteStream):
    """Gives a few bytes at a time."""

    def __init__(self, stream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._stream.receive(self._most)

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class TrioDribble(trio.abc.Stream):
    """The same, as Trio has it."""

    def __init__(self, stream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def receive_some(self, max_bytes=None):
        return await self._stream.receive_some(self._most)

    async def send_all(self, data) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def open_stream(peer, most: int = 65536):
    """An open byte stream of a user's to ``peer``, in the form of the running library."""
    if sniffio.current_async_library() == "asyncio":
        return Dribble(await anyio.connect_tcp("127.0.0.1", peer.port), most)
    return TrioDribble(await trio.open_tcp_stream("127.0.0.1", peer.port), most)
