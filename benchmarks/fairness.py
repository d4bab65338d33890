"""How late the other tasks of a program run beside a loop that never has to wait.

    python benchmarks/fairness.py [--seconds N]

A ticker sleeps for 1 ms, again and again, beside a task that receives or sends as fast as it can,
with and without 50 µs of its own work for each event. Printed is by how much the ticker woke too
late, in milliseconds. "alone" is the ticker without any other task: what the system itself adds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from messages import POSE, pose_value
from processes import peer

from vuer_trio import open_vuer_client
from vuer_trio.events import ClientEvent

_TICK = 0.001
_ENOUGH = 10_000_000  # messages; more than can be had in any time that is waited for


class Pose(ClientEvent):
    etype = POSE


def work(microseconds: int) -> None:
    """What a program does with an event, as far as the scheduler can tell."""
    end = time.perf_counter() + microseconds / 1e6
    while time.perf_counter() < end:
        pass


async def alone(uri: str, microseconds: int) -> None:
    await trio.sleep_forever()


async def receiving(uri: str, microseconds: int) -> None:
    # One burst after another: each event sent asks for the next.
    bursts = "/".join(["100000"] * 100)
    async with open_vuer_client(f"{uri}/small/{bursts}") as client:
        left = 0
        while True:
            if not left:
                await client.send(Pose(value=None))
                left = 100_000
            await anext(client)
            left -= 1
            if microseconds:
                work(microseconds)


async def sending(uri: str, microseconds: int) -> None:
    value = pose_value()
    async with open_vuer_client(f"{uri}/count/{_ENOUGH}") as client:
        while True:
            await client.send(Pose(value=value))
            if microseconds:
                work(microseconds)


async def measure(loop: Callable[[str, int], Awaitable[None]], *args: Any) -> list[float]:
    """Seconds by which the ticker was late, sorted."""
    uri, microseconds, seconds = args
    late = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop, uri, microseconds)
        await trio.sleep(0.3)
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            await trio.sleep(_TICK)
            late.append(time.perf_counter() - now - _TICK)
        nursery.cancel_scope.cancel()
    return sorted(late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    seconds = parser.parse_args().seconds
    print("| beside | work per event | p50, ms | p99, ms | max, ms |")
    print("| --- | --- | --- | --- | --- |")
    with peer() as uri:
        for loop in (alone, receiving, sending):
            for microseconds in (0,) if loop is alone else (0, 50):
                late = trio.run(measure, loop, uri, microseconds, seconds)
                p50, p99 = late[len(late) // 2], late[len(late) * 99 // 100]
                cells = [f"{1e3 * seconds:.2f}" for seconds in (p50, p99, late[-1])]
                name = f"{microseconds} µs" if microseconds else "none"
                print(f"| {loop.__name__} | {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
