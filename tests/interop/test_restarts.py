"""A server that is killed and started again fifty times under traffic, in both directions."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from driving import event, open_nursery
from support import open_sockets, task_count

from vuer_trio import Backoff, Connected, Disconnected, Fifo

pytestmark = [pytest.mark.anyio, pytest.mark.interop, pytest.mark.no_cover]

_PROGRAM = Path(__file__).with_name("mortal_server.py")
RESTARTS = 50
#: every so many restarts the server says goodbye first
GOODBYE = 5
#: seconds; the longest delay, and what a loaded machine may add to it
_MAXIMUM, _SLACK = 0.02, 5.0


class MortalServer:
    """See ``mortal_server.py``."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(_PROGRAM), str(record)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.uri = f"ws://127.0.0.1:{int(self._process.stdout.readline())}"

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
        self._process.wait(5)
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

    async def footprint(self) -> tuple[int, int, int]:
        """Tasks, sockets and objects while nothing is sent: the least of some looks."""
        self.paused = True
        await self.client.flush()
        gc.collect()
        looks = []
        for _ in range(10):
            await anyio.sleep(0.002)
            looks.append((task_count(), open_sockets(), len(gc.get_objects())))
        self.paused = False
        return min(looks)


@pytest.mark.parametrize("replay", [False, True], ids=["at-most-once", "replay"])
async def test_fifty_restarts_under_traffic(leg, open_client, server, replay):
    backoff = Backoff(initial=0.01, maximum=_MAXIMUM, replay=replay)
    before: tuple[int, int, int] = (0, 0, 0)
    async with open_client(server.uri, reconnect=backoff, outbox=Fifo(256)) as client:
        traffic, changes, states = Traffic(client), client.link_changes(), []
        async with open_nursery(leg) as nursery:
            nursery.start_soon(traffic.send)
            nursery.start_soon(traffic.receive)
            for n in range(RESTARTS):
                await traffic.more(40)
                if n == 10:
                    before = await traffic.footprint()
                await anyio.to_thread.run_sync(server.restart, "kill" if n % GOODBYE else "stop")
                with anyio.fail_after(_MAXIMUM + _SLACK):
                    while Connected(n + 2) not in states:
                        states.append(await anext(changes))
            await traffic.more(40)
            after = await traffic.footprint()
            traffic.stopping = True
            await traffic.stopped.wait()
            await client.flush(timeout=10)
            nursery.cancel_scope.cancel()
        statistics = client.statistics()

    # There and back again, in order.
    assert [type(state) for state in states] == [Disconnected, Connected] * RESTARTS
    generations = [state.generation for state in states if isinstance(state, Connected)]
    assert generations == list(range(2, RESTARTS + 2))
    codes = [state.code for state in states if isinstance(state, Disconnected)]
    assert {1001, 1006} == set(codes)  # a reset may overtake a goodbye, but not every one
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

    assert after[:2] == before[:2], "tasks, sockets"
    assert after[2] - before[2] < 5 * RESTARTS, "objects"
