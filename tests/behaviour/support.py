"""What the behavioural tests share."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any

import anyio
import anyio.abc
import msgpack
import sniffio
import trio

from vuer_trio.events import ClientEvent

__all__ = ["Number", "numbers", "open_sockets", "open_stream", "task_count"]


class Number(ClientEvent):
    """An event that carries a number, and may be padded with ``pad`` bytes."""

    etype = "NUMBER"


def numbers(messages: list[Any]) -> list[Any]:
    """The values of the NUMBER events among a peer's messages; padding left out."""
    events = [msgpack.unpackb(message) for message in messages]
    return [event["value"] for event in events if event["etype"] == "NUMBER"]


def open_sockets() -> int:
    """File descriptors of this process that are sockets."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return count


def task_count() -> int:
    """Tasks of the running loop."""
    if sniffio.current_async_library() == "asyncio":
        return len(asyncio.all_tasks())

    pending = [trio.lowlevel.current_root_task()]
    count = 0
    while pending:
        task = pending.pop()
        if task is None:
            continue
        count += 1
        for nursery in task.child_nurseries:
            pending.extend(nursery.child_tasks)
    return count


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
