"""Several server processes that share a scene: throughput, and the age of changes at viewers.

Prints the table of `SEVERAL_PROCESSES.md`, and writes it. Needs redis-server. With ``--quick`` it
is small, and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import anyio
import msgpack

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.redis_server import RedisServer  # noqa: E402
from tests.scene_processes import Audience, SceneProcess, Viewer  # noqa: E402

from report import line  # noqa: E402  # isort: skip

#: processes; 0 stands for one without a bus
CASES = (0, 1, 2, 4)
HEAD = (
    *("processes", "changes a second, applied and shown", "messages a second, delivered"),
    *("age p50, ms", "age p99, ms", "CPU of the servers, s"),
)


class Watch(Viewer):
    """Notes how old the changes are when it reads them."""

    def __init__(self, audience: Audience, process: SceneProcess) -> None:
        super().__init__(audience, process)
        self.ages: list[float] = []

    def _take(self, payload: bytes) -> None:
        now = time.monotonic()
        super()._take(payload)
        for node in msgpack.unpackb(payload)["data"].get("nodes", ()):
            if "at" in node:
                self.ages.append(now - node["at"])


async def case(count: int, args: argparse.Namespace) -> list[Any]:
    with ExitStack() as stack:
        redis = None
        if count:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            redis = stack.enter_context(RedisServer(folder)).uri
        servers = [SceneProcess(f"s{n}", redis) for n in range(count or 1)]
        for server in servers:
            stack.callback(server.kill)
        async with anyio.create_task_group() as starting:
            for server in servers:
                starting.start_soon(server.start)
        speed = await throughput(servers, args)
        ages, cpu = await age(servers, args)
    tail = quantiles(ages, n=100)[98]
    return [
        str(count) if count else "1, without a bus",
        f"{speed:,.0f}",
        f"{speed * args.some:,.0f}",
        f"{median(ages) * 1000:.1f}",
        f"{tail * 1000:.0f}",
        f"{cpu:.1f}",
    ]


async def throughput(servers: list[SceneProcess], args: argparse.Namespace) -> float:
    """Changes a second, of as many as can be, from up to three processes."""
    audience = Audience()
    async with audience.watching() as tasks:
        for n, server in enumerate(servers):
            audience.add(tasks, server, len(range(n, args.some, len(servers))))
        await audience.all_show()
        writers = servers[:3]
        each = args.changes // len(writers)
        start = time.monotonic()
        for writer in writers:
            writer.change(f"{writer.name}fast", each, 0)
        total = each * len(writers)
        while not all(v.last == total - 1 for v in audience.viewers):  # noqa: ASYNC110
            await anyio.sleep(0.01)
        seconds = time.monotonic() - start
    assert audience.faults == []
    return total / seconds


async def age(servers: list[SceneProcess], args: argparse.Namespace) -> tuple[list[float], float]:
    """How old changes are when viewers read them, at a steady rate."""
    audience = Audience()
    watches = [Watch(audience, server) for server in servers]
    async with audience.watching() as tasks:
        for n, server in enumerate(servers):
            audience.add(tasks, server, len(range(n, args.many, len(servers))) - 1)
        for watch in watches:
            audience.viewers.append(watch)
            tasks.start_soon(watch.watch)
        await audience.all_show()
        before = [await server.state() for server in servers]
        writers = servers[:3]
        for writer in writers:
            writer.change(
                f"{writer.name}steady",
                round(args.rate * args.seconds / len(writers)),
                args.rate / len(writers),
            )
        for writer in writers:
            await writer.wait_changed(f"{writer.name}steady")
        await audience.pause(servers)
        after = [await server.state() for server in servers]
    cpu = sum(b["cpu"] - a["cpu"] for a, b in zip(before, after, strict=True))
    return [one for watch in watches for one in watch.ages], cpu


def cells_of(cells: Sequence[Any]) -> tuple[str, list[Any]]:
    """The first cell of a line, and the others."""
    return str(cells[0]), list(cells[1:])


async def main(args: argparse.Namespace) -> None:
    load = os.getloadavg()[0]
    rows = [line(*cells_of(HEAD)), line(*cells_of(["---"] * len(HEAD)))]
    for count in CASES:
        rows.append(line(*cells_of(await case(count, args))))
        print("\n".join(rows[-3 if len(rows) == 3 else -1 :]), flush=True)
    if args.quick:
        return
    text = [
        "# Several processes",
        "",
        f"Made by `python benchmarks/processes_redis.py` on {os.cpu_count()} cores with Python "
        f"{platform.python_version()}; the viewers, which check the order of all changes, run "
        "beside the servers and Redis, and one process reads for all of them. Load average at the "
        f"beginning, by other work: {load:.1f}.",
        "",
        f"Throughput: {args.changes:,} changes, as fast as they can be made by up to three of the "
        f"processes, until each of {args.some} viewers has read all of them. "
        f"Age: {args.rate} changes a second for {args.seconds} s, {args.many} viewers.",
        "",
        *rows,
        "",
    ]
    (HERE / "SEVERAL_PROCESSES.md").write_text("\n".join(text), "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    given.changes, given.some = (900, 8) if given.quick else (6000, 40)
    given.rate, given.many, given.seconds = (200, 16, 1) if given.quick else (100, 200, 5)
    anyio.run(main, given, backend="trio")
