"""Many agents of two relays, in processes of their own: 100, and 2,000 with ``--thorough``."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
import pytest

from tests.redis_server import RedisServer
from tests.repetitions import times
from vuer_trio.arc import open_arc_client

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]

PROGRAM = Path(__file__).parent.parent / "programs" / "relay_process.py"
AGENTS, SPEAKERS, EACH = times(100, 2000), times(10, 20), 5
#: that register and connect at a time
AT_ONCE = 20


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


class Relay:
    def __init__(self, redis: str, expiry: float, backend: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), redis, str(expiry), backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = ""

    def wait(self) -> None:
        """Until it serves."""
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def agents(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("agents\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    async def until_agents(self, count: int) -> None:
        """Wait until so many are here or at the other relay, which tells a moment later."""
        with anyio.fail_after(60):
            while self.agents() != count:
                await anyio.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def relays(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[Relay]]:
    with RedisServer(tmp_path) as redis:
        found = []
        try:
            for backend in ("trio", "asyncio"):
                found.append(Relay(redis.uri, request.param, backend))
            for relay in found:
                relay.wait()
            yield found
        finally:
            for relay in found:
                relay.kill()


@pytest.mark.parametrize("relays", [600.0], indirect=True)
async def test_each_message_arrives_once_and_in_order(relays: list[Relay], capsys: Any) -> None:
    names = [f"agent-{n}" for n in range(AGENTS)]
    agents = [
        open_arc_client(
            relays[n % 2].url, agent_id=name, heartbeat=math.inf, rate_limit=None, check_every=600
        )
        for n, name in enumerate(names)
    ]
    direct: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    heard: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    expected: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    chance = random.Random(19)
    left = AGENTS * EACH + SPEAKERS * EACH * (AGENTS - 1)
    total, done = left, anyio.Event()
    room = anyio.Semaphore(AT_ONCE)

    async def connect(agent: Any) -> None:
        async with room:
            await agent.connect()

    async def receive(name: str, agent: Any) -> None:
        nonlocal left
        async for message in agent:
            kind, number = message.payload
            (direct if kind == "direct" else heard)[name][message["from"]].append(number)
            left -= 1
            if not left:
                done.set()

    async def speak(n: int, agent: Any) -> None:
        for number in range(EACH):
            if n < SPEAKERS:
                await agent.broadcast(["all", number])
            other = chance.choice(names[:n] + names[n + 1 :])
            expected[other][names[n]].append(number)
            await agent.direct(other, ["direct", number])

    with anyio.fail_after(600):
        async with anyio.create_task_group() as connecting:
            for agent in agents:
                connecting.start_soon(connect, agent)
        await relays[0].until_agents(AGENTS)
        start = perf_counter()
        async with anyio.create_task_group() as tasks:
            for name, agent in zip(names, agents, strict=True):
                tasks.start_soon(receive, name, agent)
            async with anyio.create_task_group() as speaking:
                for n, agent in enumerate(agents):
                    speaking.start_soon(speak, n, agent)
            await done.wait()
            seconds = perf_counter() - start
            await agents[0].broadcast(["last", 0])
            await anyio.sleep(0.1)  # what is too much would come now
            tasks.cancel_scope.cancel()
        async with anyio.create_task_group() as closing:
            for agent in agents:
                closing.start_soon(agent.close)
    for name in names:
        assert direct[name] == expected[name]
        others = set(names[:SPEAKERS]) - {name}
        del heard[name]["agent-0"][EACH:]  # the last one
        assert {who: got for who, got in heard[name].items() if got} == {
            who: list(range(EACH)) for who in others
        }
    with capsys.disabled():
        print(f"\n{AGENTS} agents: {total:,} messages in {seconds:.1f} s", flush=True)


@pytest.mark.parametrize("relays", [1.0], indirect=True)
async def test_a_relay_that_is_killed_loses_its_own_agents_alone(relays: list[Relay]) -> None:
    one, two = relays
    async with (
        open_arc_client(one.url, agent_id="alice") as alice,
        open_arc_client(one.url, agent_id="carol") as carol,
    ):
        bob = open_arc_client(two.url, agent_id="bob")
        await bob.connect()
        await one.until_agents(3)
        two.process.kill()
        with anyio.fail_after(60):
            await one.until_agents(2)
            await alice.direct("carol", "still here")
            assert (await carol.recv()).payload == "still here"
            again = open_arc_client(one.url, token=bob.token, agent_id="bob")
            await again.connect()  # its registration has outlived the relay
            await alice.direct("bob", "welcome back")
            assert (await again.recv()).payload == "welcome back"
            await again.close()
            await bob.close()
