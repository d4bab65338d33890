"""Shorthand for tests that drive ``tests/programs/reference_server.py``."""

from __future__ import annotations

from typing import Any

import anyio
import trio

from vuer_trio import VuerClient
from vuer_trio.events import ClientEvent


class Pose(ClientEvent):
    etype = "POSE"


def event(etype: str, value: Any = None) -> ClientEvent:
    return ClientEvent(etype=etype, value=value)


async def ask(client: VuerClient, etype: str, value: Any = None, reply: str | None = None) -> Any:
    """Send an event and return the data of the answer, which must be the next event."""
    client.send @ event(etype, value)
    answer = await client.recv(timeout=60)
    assert answer.etype == (reply or etype)
    return answer.data


async def report_of(client: VuerClient, tag: str, **options: Any) -> Any:
    """What all sessions of that name have received; ``client`` is another one."""
    return await ask(client, "REPORT_ALL", {"client": tag, **options})


def open_nursery(backend: Any) -> Any:
    """Trio's nursery, or what stands for it in asyncio."""
    return trio.open_nursery() if backend.runtime == "trio" else anyio.create_task_group()
