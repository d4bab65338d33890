"""Events that carry numbers, so that a test sees which have arrived, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgpack
import pytest

from tests.scripted_server import PeerConnection, Script
from vuer_trio import InboxEmpty, VuerClient
from vuer_trio.events import ClientEvent

__all__ = ["Number", "go", "numbers", "on_go", "stream"]


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
