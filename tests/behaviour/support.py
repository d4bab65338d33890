"""What the behavioural tests share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import msgpack
import pytest
import sniffio
import trio

from peer import PeerConnection, Script
from vuer_trio import InboxEmpty, VuerClient
from vuer_trio.events import ClientEvent
from vuer_trio.testing import Split, faulty
from vuer_trio.testing.leaks import Census

__all__ = [
    "Number",
    "go",
    "numbers",
    "on_go",
    "open_sockets",
    "open_stream",
    "stream",
    "task_count",
]


class Number(ClientEvent):
    """An event that carries a number, and may be padded with ``pad`` bytes."""

    etype = "NUMBER"


def numbers(messages: list[Any]) -> list[Any]:
    """The values of the NUMBER events among a peer's messages; padding left out."""
    events = [msgpack.unpackb(message) for message in messages]
    return [event["value"] for event in events if event["etype"] == "NUMBER"]


def stream(count: int, etype: str = "N", **extra: Any) -> list[dict[str, Any]]:
    """Numbered events."""
    return [{"etype": etype, "data": n, **extra} for n in range(count)]


def on_go(events: Iterable[Any]) -> Script:
    """A script that sends these events, or frames, once its client has said `go`."""

    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        await conn.recv()
        await conn.recv()
        for event in events:
            if isinstance(event, bytes):
                await conn.send(event)
            else:
                await conn.send_event(event)

    return script


async def go(client: VuerClient) -> None:
    """Attend the inbox, so that none is dropped however soon they come, and let the peer send."""
    with pytest.raises(InboxEmpty):
        client.recv_nowait()
    await client.send(Number(value="go"))


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
