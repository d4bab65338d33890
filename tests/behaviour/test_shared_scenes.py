"""A scene that real sessions share, on every backend; see also `test_scene_store`."""

from __future__ import annotations

import anyio
import pytest

from tests.behaviour.raw_client import eventually
from vuer_trio import Fifo, Latest, OutboxFull, SceneStore, open_vuer_server
from vuer_trio.schemas import Box, Scene
from vuer_trio.server import serving

pytestmark = pytest.mark.anyio


def sharing(app, store):
    @app.spawn
    async def main(session):
        async with store.subscribe(session):
            await session.forever()

    return app


async def test_a_change_is_encoded_once_for_all_sessions_of_a_server(
    new_server, open_client, monkeypatch
):
    store, framed = SceneStore(), []

    def counting(payload):
        framed.append(payload)
        return real(payload)

    real = serving.prepare
    monkeypatch.setattr(serving, "prepare", counting)
    store.set @ Scene(Box(key="box"))
    double = sharing(new_server(), store)
    single = sharing(new_server(floats="single"), store)
    async with open_vuer_server(double) as one, open_vuer_server(single) as other:
        clients = [open_client(server.uri) for server in (one, other) for _ in range(3)]
        for client in clients:
            await client.connect()
            assert await client.recv(timeout=60) == "SET"
        for n in range(10):
            store.upsert @ Box(key="box", position=[n + 0.1, 0, 0])
        for client in clients:
            got = [await client.recv(timeout=60) for _ in range(10)]
            xs = [event.data["nodes"][0]["position"][0] for event in got]
            assert xs == pytest.approx([n + 0.1 for n in range(10)])
            assert (xs[0] == 0.1) == (client in clients[:3])
            await client.aclose()
    assert len(framed) == 2 * (1 + 10)


@pytest.mark.slow
async def test_who_comes_at_any_moment_ends_up_with_the_same_scene(new_server, open_client):
    app, store = new_server(), SceneStore()
    sharing(app, store)
    store.set @ Scene(Box(key="box"))
    scenes, last = [], 300

    async def visit():
        async with open_client(server.uri, mirror_scene=True) as client:
            seen = []
            async for event in client:
                if event == "UPSERT":
                    seen.append(event.data["nodes"][0]["n"])
                elif event == "REMOVE":
                    break
            assert seen == list(range(last - len(seen) + 1, last + 1))  # no gap, in order
            scenes.append(client.scene.to_dict())

    async with open_vuer_server(app) as server:
        async with anyio.create_task_group() as tasks:
            for n in range(last + 1):
                if n % 30 == 0:
                    tasks.start_soon(visit)
                store.upsert @ Box(key="box", n=n)
                if n % 7 == 0:
                    store.add(Box(key=f"n{n}"), to="box")
                await anyio.sleep(0.001 if n % 10 == 0 else 0)
            await eventually(lambda: len(app.sessions) == 11 and len(store._subscriptions) == 11)
            store.remove @ "n0"
    assert scenes == [store.scene.to_dict()] * len(scenes)
    assert len(scenes) == 11


async def test_a_session_without_room_is_told_in_its_block(new_server, open_client):
    app, store, told = new_server(outbox=Fifo(5)), SceneStore(), []

    @app.spawn
    async def main(session):
        try:
            async with store.subscribe(session):
                await session.forever()
        except OutboxFull as exc:
            told.append(str(exc))
            raise

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert await client.recv(timeout=60) == "SET"
        for n in range(10):
            store.upsert @ Box(key="box", n=n)
        got = []
        with pytest.raises(Exception, match="1011"):
            async for event in client:
                got.append(event.data["nodes"][0]["n"])
        await eventually(lambda: told)
    assert got == list(range(len(got)))
    assert 5 <= len(got) < 10
    assert "the outbox of the client at" in told[0]


async def test_a_change_keeps_to_the_policy_of_the_outbox(new_server, open_client):
    app, store = new_server(outbox=Latest()), SceneStore()
    sharing(app, store)
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert await client.recv(timeout=60) == "SET"
        for n in range(10):
            store.upsert @ Box(key="box", n=n)
        assert (await client.recv(timeout=60)).data["nodes"][0]["n"] == 9
