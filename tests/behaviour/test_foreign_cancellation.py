"""Under asyncio a task may await another one that is cancelled: that is no end of its own."""

from __future__ import annotations

import asyncio

import pytest

from tests.backends import BACKENDS
from tests.behaviour.raw_client import eventually, witnessed
from tests.resource_counts import task_count
from tests.scripted_roomz_server import client_of, enter, message
from tests.scripted_server import serve_peer
from vuer_trio import ConnectionClosed, open_vuer_server
from vuer_trio.events import ClientEvent

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


@pytest.fixture
def backend():
    return next(backend for backend in BACKENDS if backend.runtime == "asyncio")


async def awaits_what_is_cancelled(*args):
    task = asyncio.create_task(asyncio.sleep(100))
    task.cancel()
    await task


async def test_of_a_handler_and_of_a_spawned_task(new_server, open_client, caplog):
    app, tasks = new_server(), []
    app.add_handler("BAD", awaits_what_is_cancelled)
    app.add_handler("BAD", awaits_what_is_cancelled, concurrent=True)
    app.add_handler(
        "TASK", lambda event, session: tasks.append(session.spawn_task(awaits_what_is_cancelled))
    )
    async with witnessed(app, open_client) as both:
        both.client.send @ ClientEvent(etype="BAD")
        both.client.send @ ClientEvent(etype="TASK")
        await both.echo()
        await eventually(lambda: tasks and tasks[0].done())
        await eventually(lambda: caplog.text.count("awaited what was cancelled") == 3)
        both.tasks += 1  # what starts concurrent handlers, from the first of them on
        await both.nothing_is_left()


@pytest.mark.parametrize("where", ["main", "soon"])
async def test_of_a_program_ends_its_session_with_1011(new_server, open_client, caplog, where):
    app = new_server()

    @app.spawn
    async def main(session):
        if where == "main":
            await awaits_what_is_cancelled()
        session.start_soon(awaits_what_is_cancelled)
        await session.forever()

    async with open_vuer_server(app) as server:
        before = task_count()
        async with open_client(server.uri) as client:
            with pytest.raises(ConnectionClosed, match="1011"):
                await client.recv(timeout=60)
        await eventually(lambda: not app.sessions)
        await eventually(lambda: task_count() <= before)
    assert "so the session of" in caplog.text


async def test_of_a_handler_of_an_agent(open_relay, open_agent, caplog):
    seen = []

    async def handler(message):
        if message.payload == "bad":
            await awaits_what_is_cancelled()
        seen.append(message.payload)

    async with open_relay() as relay, open_agent(relay.url) as client:
        listening = asyncio.create_task(client.listen(handler))
        for payload in ("bad", "good"):
            await client.direct(client.agent_id, payload)
        await eventually(lambda: seen == ["good"])
        assert "awaited what was cancelled" in caplog.text
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening


async def test_of_a_handler_in_a_room(backend, tmp_path, caplog):
    seen = []

    async def talks(conn):
        await enter(conn)
        for content in "ab":
            await conn.send_text(message(content))

    async with serve_peer(talks) as peer:
        client = client_of(peer.uri, tmp_path, transport=backend.transport)
        client.on("message", awaits_what_is_cancelled)
        client.on("message", lambda data: seen.append(data["content"]))
        async with client:
            await eventually(lambda: seen == ["a", "b"])
            assert client.connected
    assert caplog.text.count("awaited what was cancelled") == 2


async def test_its_own_cancellation_is_not_swallowed(new_server, open_client):
    app, seen = new_server(), []

    @app.add_handler("WAIT")
    async def wait(event, session):
        seen.append("waits")
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("left")

    async with open_vuer_server(app) as server:
        before = task_count()
        async with open_client(server.uri) as client:
            client.send @ ClientEvent(etype="WAIT")
            await eventually(lambda: seen == ["waits"])
        await eventually(lambda: not app.sessions)
        await eventually(lambda: task_count() <= before)
    assert seen == ["waits", "cancelled", "left"]
