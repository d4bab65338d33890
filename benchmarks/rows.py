"""What is measured, written once: ours and ``vuer.VuerClient`` have the same interface.

Each row takes ``connect(path)``, which gives a client as an async context manager, and returns a
rate: more is better. Every row warms up on the connection that it measures.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Any

from messages import LARGE, pose_value

__all__ = ["ROWS", "cpu"]

MESSAGES = 20_000
WARM = 2_000
LARGE_MESSAGES = 12
TRIPS = 2_000

#: of the CPU row: clients, Hz, seconds before and while it is measured
CLIENTS, RATE, SETTLE, WINDOW = 100, 60, 1.0, 3.0

Connect = Callable[[str], Any]


async def counted(connect: Connect, sending: Callable[[Any, int], Any], warm: int, n: int) -> float:
    """Messages a second of ``sending(client, count)``, until the peer has read them all."""
    async with connect(f"/count/{warm}/{warm + n}") as client:
        for count in (warm, n):
            start = time.perf_counter()
            await sending(client, count)
            done = await client.recv()
            elapsed = time.perf_counter() - start
            assert done.etype == "DONE"
    return n / elapsed


async def fire(connect: Connect, event: Any) -> float:
    """``client.send @ pose``, until the peer has read them: messages a second."""
    value = pose_value()

    async def sending(client: Any, count: int) -> None:
        for _ in range(count):
            client.send @ event(value=value)

    return await counted(connect, sending, WARM, MESSAGES)


async def send(connect: Connect, event: Any) -> float:
    """``await client.send(pose)``, until the peer has read them: messages a second."""
    return await counted(connect, awaiting(event, pose_value()), WARM, MESSAGES)


def awaiting(event: Any, value: Any) -> Callable[[Any, int], Any]:
    async def sending(client: Any, count: int) -> None:
        for _ in range(count):
            await client.send(event(value=value))

    return sending


async def iterate(connect: Connect, event: Any) -> float:
    """``async for event in client``, its data touched: events a second."""
    async with connect(f"/small/{WARM}/{MESSAGES}") as client:
        for count in (WARM, MESSAGES):
            await client.send(event(value=None))
            start = time.perf_counter()
            left = count
            async for arrived in client:
                assert arrived.data["nodes"][0]["key"] == "cube"
                left -= 1
                if not left:
                    break
            elapsed = time.perf_counter() - start
    return MESSAGES / elapsed


async def large_out(connect: Connect, event: Any) -> float:
    """``await client.send`` of 16 MiB, until the peer has read them: MiB a second."""
    return 16 * await counted(connect, awaiting(event, bytes(LARGE)), 2, LARGE_MESSAGES)


async def large_in(connect: Connect, event: Any) -> float:
    """``await client.recv()`` of 16 MiB: MiB a second."""
    async with connect(f"/large/2/{LARGE_MESSAGES}") as client:
        for count in (2, LARGE_MESSAGES):
            await client.send(event(value=None))
            start = time.perf_counter()
            for _ in range(count):
                arrived = await client.recv()
                assert len(arrived.data) == LARGE
            elapsed = time.perf_counter() - start
    return LARGE_MESSAGES * 16 / elapsed


async def round_trips(connect: Connect, event: Any) -> float:
    """A pose there and one back, one at a time: round trips a second, by the median."""
    value = pose_value()
    times = []
    async with connect("/echo") as client:
        for _ in range(TRIPS):
            start = time.perf_counter()
            await client.send(event(value=value))
            await client.recv()
            times.append(time.perf_counter() - start)
    return 1 / median(times[TRIPS // 10 :])


#: name: (function, what its number counts)
ROWS: dict[str, tuple[Callable[[Connect, Any], Any], str]] = {
    "fire": (fire, "k/s"),
    "send": (send, "k/s"),
    "iterate": (iterate, "k/s"),
    "16 MiB out": (large_out, "MiB/s"),
    "16 MiB in": (large_in, "MiB/s"),
    "round trips": (round_trips, "k/s"),
}


async def beat(
    connect: Connect, event: Any, sleep: Any, first: float, end: float, answered: Callable[[], Any]
) -> None:
    """One of many clients: a pose, and the wait for the answer, at a steady rate."""
    value = pose_value()
    async with connect("/echo") as client:
        tick = first
        while tick < end:
            await sleep(max(0.0, tick - time.perf_counter()))
            await client.send(event(value=value))
            await client.recv()
            answered()
            tick += 1 / RATE


async def cpu(connect: Connect, event: Any, sleep: Any, start_soon: Any) -> float:
    """100 clients at 60 Hz with echo in one process: its share of a core, in per cent.

    More than 100 is what it would take: what a busy core has no time for is not left out.
    """
    answers = count()
    first = time.perf_counter() + 1.0  # all are open then
    end = first + SETTLE + WINDOW + 0.2
    for i in range(CLIENTS):
        ticks = first + i / CLIENTS / RATE
        start_soon(beat, connect, event, sleep, ticks, end, answers.__next__)
    await sleep(first + SETTLE - time.perf_counter())
    used, before = time.process_time(), next(answers)
    await sleep(WINDOW)
    used, after = time.process_time() - used, next(answers)
    return 100 * used * CLIENTS * RATE / (after - before)
