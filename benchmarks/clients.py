"""The clients that are compared: how each is opened, and what runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import rows
from messages import POSE

__all__ = ["CLIENTS", "REFERENCE", "run_row"]

#: what every other is compared with
REFERENCE = "vuer.VuerClient"
#: name: (runtime, transport)
CLIENTS: dict[str, tuple[str, str]] = {
    REFERENCE: ("asyncio", ""),
    "Trio, websockets": ("trio", "websockets"),
    "Trio, wsproto": ("trio", "wsproto"),
    "Trio, trio-websocket": ("trio", "trio-websocket"),
    "asyncio, websockets": ("asyncio", "websockets"),
    "asyncio, wsproto": ("asyncio", "wsproto"),
    "uvloop, websockets": ("uvloop", "websockets"),
    "uvloop, wsproto": ("uvloop", "wsproto"),
}


def run_row(name: str, row: str, uri: str) -> float:
    """Measure one row with one client, in an event loop of its own."""
    if name not in CLIENTS:
        from ceiling import run

        return run(row, uri)
    runtime, transport = CLIENTS[name]
    connect, event = _opener(transport, uri)
    if row == "CPU":
        return _run_many(runtime, connect, event)
    fn = rows.ROWS[row][0]
    if runtime == "trio":
        import trio

        rate: float = trio.run(fn, connect, event)
        return rate
    return _asyncio_run(runtime, fn(connect, event))


def _opener(transport: str, uri: str) -> tuple[Callable[[str], Any], Any]:
    """How to connect, and the class of the pose."""
    if not transport:
        from vuer import VuerClient
        from vuer.events import ClientEvent as TheirEvent

        class TheirPose(TheirEvent):
            etype = POSE

        return lambda path: VuerClient(uri=uri + path), TheirPose

    from vuer_trio import Fifo, open_vuer_client
    from vuer_trio.events import ClientEvent

    class Pose(ClientEvent):
        etype = POSE

    # `send @` never waits, so all messages of that row must have room. No other row needs it.
    room = Fifo(rows.MESSAGES + rows.WARM)
    return (
        lambda path: open_vuer_client(uri + path, transport=transport, outbox=room),  # type: ignore[arg-type]
        Pose,
    )


def _asyncio_run(runtime: str, coroutine: Any) -> Any:
    if runtime == "uvloop":
        import uvloop

        return uvloop.run(coroutine)
    return asyncio.run(coroutine)


def _run_many(runtime: str, connect: Callable[[str], Any], event: Any) -> float:
    if runtime == "trio":
        import trio

        async def in_nursery() -> float:
            async with trio.open_nursery() as nursery:
                return await rows.cpu(connect, event, trio.sleep, nursery.start_soon)
            raise AssertionError

        share: float = trio.run(in_nursery)
        return share

    async def in_group() -> float:
        async with asyncio.TaskGroup() as group:
            return await rows.cpu(
                connect,
                event,
                asyncio.sleep,
                lambda fn, *args: group.create_task(fn(*args)),
            )
        raise AssertionError

    measured: float = _asyncio_run(runtime, in_group())
    return measured
