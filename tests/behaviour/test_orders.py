"""What this library promises holds in whatever order its tasks run, and however late what arrives
is seen."""

from __future__ import annotations

import contextlib
import random

import anyio
import anyio.lowlevel
import pytest

from tests import repetitions
from tests.backends import BACKENDS
from tests.behaviour.numbered_events import Number, numbers
from tests.repetitions import times
from tests.scripted_server import peer_inside
from vuer_trio import Backoff, Fifo, Latest, Vuer, VuerError, open_vuer_client
from vuer_trio.events import ServerEvent, ServerRPC
from vuer_trio.scene import Scene
from vuer_trio.schemas import Box
from vuer_trio.server import SceneStore
from vuer_trio.testing import lagging, shuffled, vuer_client, vuer_server

pytestmark = pytest.mark.no_cover

ON = [backend for backend in BACKENDS if backend.runtime != "uvloop"]
SOON = Backoff(initial=0.001, maximum=0.001, first=True)


@pytest.fixture(params=ON, ids=lambda backend: backend.name)
def backend(request):
    return request.param


@pytest.fixture(params=[0, 0.005], ids=["at once", "lagging"])
def run(request, backend):
    """Runs a scenario under some orders, each run with its own delays."""
    most = request.param

    def run(scenario) -> None:
        first = repetitions.sample() * 1000
        for seed in range(first, first + times(6, 60)):
            with lagging(most, seed=seed) if most else contextlib.nullcontext():
                shuffled(scenario, seeds=[seed], backend=backend.runtime)

    return run


@pytest.fixture
def options(backend):
    return {"transport": backend.transport}


def test_what_several_tasks_send_and_receive(run, options):
    async def scenario():
        got, echoed = [], []
        app = Vuer(**options)

        @app.add_handler("NUMBER")
        async def number(event, session):
            got.append(event.value)
            await session.send(ServerEvent(event.value, etype="BACK"))

        async def send(client, sender):
            for n in range(6):
                await client.send(Number(value=[sender, n]))

        async with vuer_server(app) as server:
            async with vuer_client(server, outbox=Fifo(2), **options) as client:
                async with anyio.create_task_group() as tasks:
                    for sender in range(3):
                        tasks.start_soon(send, client, sender)
                    while len(echoed) < 18:
                        echoed.append((await client.recv(timeout=1000)).data)
        assert sorted(got) == [[sender, n] for sender in range(3) for n in range(6)]
        assert [n for s, n in got if s == 1] == list(range(6))
        assert echoed == got

    run(scenario)


def test_several_tasks_that_receive_share_what_comes(run, options):
    async def counts(conn):
        await conn.accept()
        for n in range(12):
            await conn.send_event({"etype": "N", "data": n})
        await conn.wait_ended()

    async def scenario():
        got = {0: [], 1: [], 2: []}

        async def receive(client, who):
            with contextlib.suppress(VuerError):
                async for event in client:
                    got[who].append(event.data)
                    await anyio.lowlevel.checkpoint()

        async with peer_inside(counts) as peer, open_vuer_client(peer.uri, **options) as client:
            async with anyio.create_task_group() as tasks:
                for who in got:
                    tasks.start_soon(receive, client, who)
                while sum(map(len, got.values())) < 12:
                    await anyio.sleep(0.001)
                await client.close()
        assert sorted(n for mine in got.values() for n in mine) == list(range(12))
        assert all(mine == sorted(mine) for mine in got.values())

    run(scenario)


def test_senders_that_are_cancelled(run, options):
    """What has been sent arrives, once, and what was cancelled does not."""

    async def scenario():
        arrived, sent = [], []
        app = Vuer(**options)
        app.add_handler("NUMBER", lambda event, session: arrived.append(event.value))

        async def send(client, sender):
            with anyio.move_on_after(0.002 * sender):
                for n in range(50):
                    await client.send(Number(value=[sender, n]))
                    sent.append([sender, n])
                    await anyio.sleep(0.0005)

        async with vuer_server(app) as server:
            async with vuer_client(server, outbox=Fifo(1), **options) as client:
                async with anyio.create_task_group() as tasks:
                    for sender in range(1, 4):
                        tasks.start_soon(send, client, sender)
                await client.send(Number(value="last"))
                await client.flush()
                while "last" not in arrived:
                    await anyio.sleep(0.001)
        assert sorted(arrived[:-1]) == sorted(sent)
        assert len(sent) > 5

    run(scenario)


def test_questions_both_ways_at_once(run, options):
    async def scenario():
        app, replies, done = Vuer(**options), [], anyio.Event()

        @app.spawn
        async def main(session):
            async def ask(n):
                replies.append((n, (await session.rpc(ServerRPC(n, etype="ASK"), ttl=900)).value))

            async with anyio.create_task_group() as tasks:
                for n in range(6):
                    tasks.start_soon(ask, n)
            done.set()
            await session.forever()

        async with vuer_server(app) as server:
            client = vuer_client(server, **options)

            @client.answer("ASK")
            async def answer(event):
                await anyio.sleep(0.001 * (event.data % 3))
                return [event.data]

            async with client:
                with anyio.fail_after(1000):
                    await done.wait()
        assert sorted(replies) == [(n, [n]) for n in range(6)]

    run(scenario)


def test_reconnecting_loses_and_doubles_nothing_that_was_received(run, options):
    async def scenario():
        connections = 0

        async def restarts(conn):
            nonlocal connections
            first, connections = 2 * connections, connections + 1
            await conn.accept()
            for n in (first, first + 1):
                await conn.send_event({"etype": "N", "data": n})
            if connections < 4:
                await conn.close(1012, "restarting")
            await conn.wait_ended()

        got = []
        async with peer_inside(restarts) as peer:
            async with open_vuer_client(peer.uri, reconnect=SOON, **options) as client:
                async with anyio.create_task_group() as tasks:

                    async def sends():
                        for n in range(20):
                            await client.send(Number(value=n))
                            await anyio.sleep(0.001)

                    tasks.start_soon(sends)
                    while len(got) < 8:
                        got.append((await client.recv(timeout=1000)).data)
                await client.flush()
            for conn in peer.connections:
                await conn.wait_disconnected()
                assert conn.protocol_error is None
            arrived = [n for conn in peer.connections for n in numbers(conn.messages)]
        assert got == list(range(8))
        assert arrived == sorted(set(arrived))
        assert arrived[-1] == 19

    run(scenario)


@pytest.mark.parametrize("policy", [Fifo(), Latest()], ids=["fifo", "latest"])
def test_every_viewer_of_a_scene_ends_with_the_same_one(run, options, policy):
    async def scenario():
        store = SceneStore()
        app = Vuer(outbox=policy, **options)

        @app.spawn
        async def main(session):
            async with store.subscribe(session):
                await session.forever()

        async def change(writer):
            chance = random.Random(writer)
            for n in range(10):
                key = f"box-{chance.randrange(4)}"
                if chance.random() < 0.2:
                    store.remove(key)
                else:
                    store.upsert(Box(key=key, position=[writer, n, 0]))
                await anyio.sleep(0.001 * chance.randrange(2))

        async def view(server, scenes):
            scene = Scene()
            async with vuer_client(server, **options) as client:
                scenes.append(scene)
                async for event in client:
                    scene.apply(event)

        async with vuer_server(app) as server:
            scenes = []
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(view, server, scenes)
                async with anyio.create_task_group() as writers:
                    for writer in range(3):
                        writers.start_soon(change, writer)
                tasks.start_soon(view, server, scenes)
                await anyio.sleep(5)
                for scene in scenes:
                    assert scene.to_dict() == store.scene.to_dict()
                tasks.cancel_scope.cancel()
        assert len(scenes) == 3

    run(scenario)


def test_a_server_that_stops_while_clients_come_and_go(run, options):
    async def scenario():
        app, ended = Vuer(**options), []

        @app.spawn
        async def main(session):
            try:
                await session.forever()
            finally:
                ended.append(session)

        async def visit(server, n):
            with contextlib.suppress(VuerError, OSError):
                await anyio.sleep(0.001 * (n % 4))
                async with vuer_client(server, **options) as client:
                    await client.send(Number(value=n))
                    await anyio.sleep(0.001 * (n % 3))

        async with anyio.create_task_group() as tasks:
            async with vuer_server(app) as server:
                for n in range(8):
                    tasks.start_soon(visit, server, n)
                await anyio.sleep(0.003)
        assert app.sessions == ()
        assert len(set(ended)) == len(ended)

    run(scenario)
