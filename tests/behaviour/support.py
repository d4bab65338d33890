"""What the behavioural tests share."""

from __future__ import annotations

from typing import Any

import anyio
import msgpack
import sniffio
import trio

from vuer_trio.events import ClientEvent
from vuer_trio.testing import Split, faulty
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


async def open_stream(peer, most: int = 65536):
    """An open byte stream of a user's to ``peer``, that gives ``most`` bytes at a time."""
    if sniffio.current_async_library() == "asyncio":
        stream = await anyio.connect_tcp("127.0.0.1", peer.port)
    else:
        stream = await trio.open_tcp_stream("127.0.0.1", peer.port)
    return faulty(stream, Split(most, least=most))
