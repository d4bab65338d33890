"""Several server processes, many viewers, and everything that can go: each viewer shows the same.

By default a small form of it runs; with ``--thorough`` 200 viewers of two and of four processes,
with 1,000 changes a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.redis_server import RedisServer
from tests.scene_processes import PATIENCE, Audience, SceneProcess
from vuer_trio import VuerClient, open_vuer_client

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


def numbered(count: int) -> list[int]:
    """The changes of a writer that have a number: all but those that remove."""
    return [n for n in range(count) if not (n % 10 == 5 and n > 20)]


class Show:
    """The processes, and what they were told to change."""

    def __init__(self, redis: str, servers: int, rate: float) -> None:
        backends = ("trio", "asyncio")
        self.servers = [SceneProcess(f"s{n}", redis, backends[n % 2]) for n in range(servers)]
        more = [SceneProcess(f"w{n}", redis) for n in range(3 - servers)]
        self.writers = [*self.servers, *more][:3]
        self.all = [*self.servers, *more]
        self._rate = rate / 3
        self.made: dict[str, int] = {}
        self._rounds = 0

    def change(self, seconds: float, *, but: Any = None) -> list[tuple[SceneProcess, str]]:
        """Have all writers make changes; returns who makes what."""
        self._rounds += 1
        told = []
        for process in self.writers:
            if process is but:
                continue
            name = f"{process.name}r{self._rounds}"
            self.made[name] = round(self._rate * seconds)
            process.change(name, self.made[name], self._rate)
            told.append((process, name))
        return told

    async def done(self, told: list[tuple[SceneProcess, str]]) -> None:
        for process, name in told:
            said = await process.wait_changed(name)
            assert said["refused"] == 0


async def perform(
    folder: Any, *, servers: int, viewers: int, rate: float, seconds: float, outage: float
) -> None:
    with RedisServer(folder) as redis:
        show, audience = Show(redis.uri, servers, rate), Audience()
        try:
            async with anyio.create_task_group() as starting:
                for process in show.all:
                    starting.start_soon(process.start)
            async with audience.watching() as tasks:
                for process in show.servers:
                    audience.add(tasks, process, viewers // servers)
                await audience.all_show()

                # all is well; and some come late
                told = show.change(seconds)
                await anyio.sleep(seconds / 2)
                audience.add(tasks, show.servers[0], 2)
                await show.done(told)
                await audience.all_show()
                await audience.pause(show.all)

                # a process is killed while it makes changes, and started again
                told = show.change(seconds)
                await anyio.sleep(seconds / 3)
                victim = show.servers[-1]
                victim.kill()
                await anyio.sleep(seconds / 3)
                await victim.start()
                lost = [name for process, name in told if process is victim]
                await show.done([one for one in told if one[0] is not victim])
                await audience.all_show()
                await audience.pause(show.all)

                # Redis stands still for a while, and goes on
                told = show.change(seconds + outage)
                await anyio.sleep(seconds / 3)
                redis.pause()
                await anyio.sleep(outage)
                redis.resume()
                await show.done(told)
                await audience.pause(show.all)

                # Redis is killed, and started again
                told = show.change(seconds + outage)
                await anyio.sleep(seconds / 3)
                redis.kill()
                await anyio.sleep(outage)
                redis.start()
                audience.add(tasks, show.servers[-1], 2)
                await show.done(told)
                await audience.all_show()
                await audience.pause(show.all)
        finally:
            for process in show.all:
                process.kill()
    assert audience.faults == []
    for name, count in show.made.items():
        seen = audience.numbers_of(name)
        if name in lost:  # what it had not sent; but nothing in between
            assert seen == numbered(count)[: len(seen)]
            assert seen
        else:
            assert seen == numbered(count)


async def test_all_viewers_of_all_processes_show_the_same_whatever_happens(tmp_path):
    await perform(tmp_path, servers=2, viewers=12, rate=300, seconds=0.6, outage=1.0)


@pytest.mark.thorough
@pytest.mark.parametrize("servers", [2, 4])
async def test_two_hundred_viewers_and_a_thousand_changes_a_second(tmp_path, servers):
    await perform(tmp_path, servers=servers, viewers=200, rate=1000, seconds=6, outage=5.0)


# ---- standing still, and dying


@asynccontextmanager
async def three_processes(folder: Path) -> AsyncIterator[list[SceneProcess]]:
    with RedisServer(folder) as redis:
        backends = ("trio", "asyncio", "trio")
        processes = [SceneProcess(f"p{n}", redis.uri, b) for n, b in enumerate(backends)]
        try:
            for process in processes:
                await process.start()
            yield processes
        finally:
            for process in processes:
                process.kill()


def viewer_of(process: SceneProcess) -> Any:
    uri = f"ws://127.0.0.1:{process.port}"
    return open_vuer_client(uri, mirror_scene=True, heartbeat=600.0)


async def all_equal(processes: Sequence[SceneProcess], *viewers: VuerClient) -> None:
    """Once nobody makes changes: wait until all have everything, and show it."""
    with anyio.fail_after(PATIENCE):
        while True:
            states = [await process.state() for process in processes]
            found = {state["digest"] for state in states}
            found |= {digest_of(viewer) for viewer in viewers}
            if len(found) == 1 and not any(state["waiting"] for state in states):
                return
            await anyio.sleep(0.2)


def digest_of(viewer: VuerClient) -> str:
    assert viewer.scene is not None
    data = json.dumps(viewer.scene.to_dict(), sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


@pytest.mark.thorough
async def test_processes_that_stand_still_for_longer_than_entries_are_kept(tmp_path):
    async with three_processes(tmp_path) as processes:
        first, *others = processes
        async with viewer_of(others[0]) as one, viewer_of(others[1]) as other:
            for process in processes:
                process.change(process.name, 600, 200)
            await anyio.sleep(1)
            for process in others:
                os.kill(process.pid, signal.SIGSTOP)
            first.change("meanwhile", 12_000, 300)
            await anyio.sleep(42)
            for process in others:
                os.kill(process.pid, signal.SIGCONT)
            for process in processes:
                await process.wait_changed(process.name)
            await first.wait_changed("meanwhile")
            await all_equal(processes, one, other)


@pytest.mark.thorough
async def test_processes_that_are_killed_again_and_again(tmp_path):
    chance = random.Random(5)
    async with three_processes(tmp_path) as processes:
        for n in range(25):
            for process in processes:
                process.change(f"{process.name}r{n}", 900, 1500)
            await anyio.sleep(0.8 * chance.random())
            victim = chance.choice(processes)
            victim.kill()
            await victim.start()
            for process in processes:
                if process is not victim:
                    await process.wait_changed(f"{process.name}r{n}")
            async with viewer_of(victim) as late:
                await all_equal(processes, late)
