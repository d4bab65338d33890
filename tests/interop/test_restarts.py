"""A server that is killed and started again many times under traffic, in both directions."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import reduce
from operator import and_
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests import PROGRAMS
from tests.free_ports import free_port
from tests.interop.reference_calls import event, open_nursery
from tests.repetitions import times
from tests.resource_counts import (
    count_only_new_objects,
    growing,
    object_counts,
    open_sockets,
    task_count,
)
from vuer_trio import Backoff, Connected, Disconnected, Fifo

pytestmark = [pytest.mark.anyio, pytest.mark.interop, pytest.mark.no_cover]

_PROGRAM = PROGRAMS / "restarting_server.py"
RESTARTS = times(25, 50)
#: after so many of them, and after the last
LOOKS = (5, 10, 15, 20)
#: every so many restarts the server says goodbye first
GOODBYE = times(2, 5)
#: seconds; the longest delay, and what a loaded machine may add to it
_MAXIMUM, _SLACK = 0.02, 60.0


class MortalServer:
    """See ``tests/programs/restarting_server.py``."""

    def __init__(self, record: Path) -> None:
        self._record, port = record, free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(_PROGRAM), str(port), str(record)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{port}\n"
        self.uri = f"ws://127.0.0.1:{port}"

    def restart(self, how: str) -> None:
        """Returns when the next server accepts connections."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{how}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "READY\n"

    def links(self) -> list[list[int]]:
        """What arrived, link by link."""
        links: list[list[int]] = []
        for line in self._record.read_text().splitlines():
            if line == "INIT":
                links.append([])
            else:
                links[-1].append(int(line))
        return links

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MortalServer]:
    if importlib.util.find_spec("aiohttp") is None:
        pytest.skip("needs the dependency group `interop`")
    server = MortalServer(tmp_path / "record")
    try:
        yield server
    finally:
        server.close()


class Traffic:
    """Sends numbers, and takes down which came back."""

    def __init__(self, client) -> None:
        self.client = client
        self.sent = 0
        self.echoed: list[int] = []
        self.paused = self.stopping = False
        self.stopped = anyio.Event()

    async def send(self) -> None:
        while not self.stopping:
            await self.client.send(event("NUMBER", self.sent))
            self.sent += 1
            while self.sent % 8 == 0:
                await anyio.sleep(0.001)
                if not self.paused:
                    break
        self.stopped.set()

    async def receive(self) -> None:
        async for received in self.client:
            self.echoed.append(received.data)

    async def more(self, count: int) -> None:
        """Wait for so many echoes."""
        enough = len(self.echoed) + count
        while len(self.echoed) < enough:
            await anyio.sleep(0.001)

    async def footprint(self) -> tuple[int, int, Counter[str]]:
        """Tasks, sockets and objects, the least of some looks. From now on nothing is sent."""
        self.paused = True
        await self.client.flush()
        gc.collect()
        looks = []
        for _ in range(10):
            await anyio.sleep(0.002)
            looks.append((task_count(), open_sockets(), object_counts()))
        tasks, sockets, objects = zip(*looks, strict=True)
        return min(tasks), min(sockets), reduce(and_, objects)


@pytest.mark.parametrize("replay", [False, True], ids=["at-most-once", "replay"])
async def test_restarts_under_traffic(backend, open_client, server, replay):
    count_only_new_objects()
    backoff = Backoff(initial=0.01, maximum=_MAXIMUM, replay=replay)
    looks: list[tuple[int, tuple[int, int, Counter[str]]]] = []
    async with open_client(server.uri, reconnect=backoff, outbox=Fifo(256)) as client:
        traffic, changes, states = Traffic(client), client.link_changes(), []
        async with open_nursery(backend) as nursery:
            nursery.start_soon(traffic.send)
            nursery.start_soon(traffic.receive)
            for n in range(RESTARTS):
                await traffic.more(40)
                if n in LOOKS:
                    looks.append((n, await traffic.footprint()))
                await anyio.to_thread.run_sync(server.restart, "kill" if n % GOODBYE else "stop")
                with anyio.fail_after(_MAXIMUM + _SLACK):
                    while Connected(n + 2) not in states:
                        states.append(await anext(changes))
                traffic.paused = False
            await traffic.more(40)
            looks.append((RESTARTS, await traffic.footprint()))
            traffic.stopping, traffic.paused = True, False
            await traffic.stopped.wait()
            await client.flush(timeout=60)
            nursery.cancel_scope.cancel()
        statistics = client.statistics()

    # There and back again, in order.
    assert [type(state) for state in states] == [Disconnected, Connected] * RESTARTS
    generations = [state.generation for state in states if isinstance(state, Connected)]
    assert generations == list(range(2, RESTARTS + 2))
    codes = [state.code for state in states if isinstance(state, Disconnected)]
    # A reset may overtake a goodbye, but not one that comes while nothing is sent.
    assert {1001, 1006} == set(codes)
    assert statistics.reconnects == RESTARTS

    links = server.links()
    assert len(links) == RESTARTS + 1
    arrived = [number for link in links for number in link]
    for link in links:
        assert link == list(range(link[0], link[-1] + 1)), "out of order, or with a hole"
    if replay:
        assert set(arrived) == set(range(traffic.sent)), "something is lost"
        assert statistics.lost == 0
        assert set(traffic.echoed) <= set(arrived)
    else:
        assert len(arrived) == len(set(arrived)), "something arrived twice"
        assert arrived == sorted(arrived)
        assert traffic.echoed == sorted(set(traffic.echoed))
        assert len(arrived) >= 40 * (RESTARTS + 1), "too little for a test"
    assert statistics.outbox == 0

    ((_, (tasks, sockets, _)), *_), (_, (more_tasks, more_sockets, _)) = looks, looks[-1]
    assert more_tasks <= tasks
    assert more_sockets <= sockets
    leaks = growing([(n, objects) for n, (_, _, objects) in looks])
    for kind in (Connected, Disconnected):  # which are in `states`
        leaks.pop(f"{kind.__module__}.{kind.__qualname__}")
    assert leaks == {}
