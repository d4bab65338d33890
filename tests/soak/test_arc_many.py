"""Many agents that all speak at once: two hundred, with ``--thorough``."""

from __future__ import annotations

import math
from collections import defaultdict
from time import perf_counter
from typing import Any

import anyio
import pytest

from tests.repetitions import times
from vuer_trio.arc import open_arc_client, open_arc_relay

pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]

AGENTS, EACH = times(60, 200), 10


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.no_cover  # tracing would take the core that the agents need
async def test_every_broadcast_of_many_agents_arrives_in_order(
    record_property: Any, capsys: Any
) -> None:
    got: list[dict[str, list[int]]] = [defaultdict(list) for _ in range(AGENTS)]
    # One core is a relay and all of its agents: a pong comes when it comes.
    async with open_arc_relay("127.0.0.1", heartbeat=math.inf) as relay:
        agents = [
            open_arc_client(relay.url, agent_id=f"agent-{n}", heartbeat=math.inf)
            for n in range(AGENTS)
        ]
        for agent in agents:
            await agent.connect()

        async def receive(n: int) -> None:
            for _ in range((AGENTS - 1) * EACH):
                message = await agents[n].recv()
                got[n][message["from"]].append(message.payload)

        async def speak(agent: Any) -> None:
            for n in range(EACH):
                await agent.broadcast(n)

        start = perf_counter()
        with anyio.fail_after(240):
            async with anyio.create_task_group() as tasks:
                for n, agent in enumerate(agents):
                    tasks.start_soon(receive, n)
                    tasks.start_soon(speak, agent)
        seconds = perf_counter() - start
        for agent in agents:
            await agent.close()
    for n, heard in enumerate(got):
        assert heard.keys() == {f"agent-{other}" for other in range(AGENTS) if other != n}
        assert all(payloads == list(range(EACH)) for payloads in heard.values())
    deliveries = sum(len(payloads) for heard in got for payloads in heard.values())
    assert deliveries == AGENTS * (AGENTS - 1) * EACH
    record_property("seconds", round(seconds, 1))
    with capsys.disabled():
        print(f"\n{deliveries:,} deliveries in {seconds:.1f} s", flush=True)
