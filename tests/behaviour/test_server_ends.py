"""A server that is ended from inside one of its tasks: every session is told, and none keeps it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import anyio
import pytest
import uvloop

from tests.backends import BACKENDS
from tests.behaviour.raw_client import eventually
from tests.resource_counts import open_sockets, task_count
from vuer_trio import ConnectionClosed, Vuer, open_vuer_client, open_vuer_server
from vuer_trio.arc import ARCClient, serve_arc_relay
from vuer_trio.events import ClientEvent

RUNNERS = {"asyncio": asyncio.run, "uvloop": uvloop.run}


def new_app(**options):
    app = Vuer(port=0, **options)

    @app.spawn
    async def main(session):
        await session.forever()

    return app


class Fatal(SystemExit):
    """It ends the program."""


# asyncio's loop is left by such an exception before anything else can run
@pytest.mark.parametrize(
    "backend",
    [backend for backend in BACKENDS if backend.runtime == "trio"],
    ids=lambda backend: backend.name,
)
@pytest.mark.anyio
async def test_a_handler_that_ends_the_program_ends_the_server_which_says_goodbye(
    new_server, open_client
):
    app, before = new_server(), (task_count(), open_sockets())

    @app.add_handler("FATAL")
    async def fatal(event, session):
        raise Fatal

    clients = []
    with anyio.fail_after(60), pytest.raises((Fatal, BaseExceptionGroup), check=holds(Fatal)):
        async with open_vuer_server(app) as server:
            for _ in range(3):
                client = open_client(server.uri)
                await client.connect()
                clients.append(client)
            await eventually(lambda: len(app.sessions) == 3)
            clients[0].send @ ClientEvent(etype="FATAL")
            await anyio.sleep_forever()
    with anyio.fail_after(60):
        for client in clients:
            await client.wait_closed()
            assert client.close_code == 1001
            await client.aclose()
    assert [client.close_reason for client in clients[1:]] == ["the server is going away"] * 2
    await eventually(lambda: (task_count(), open_sockets()) <= before)


def holds(kind):
    def check(exc):
        if isinstance(exc, BaseExceptionGroup):
            return exc.subgroup(kind) is not None
        return isinstance(exc, kind)

    return check


# ---- asyncio's own cancellation, with no anyio around


async def serving(app, run):
    """A task of ``run``, and a client that is connected to what it serves."""
    task = asyncio.create_task(run())
    while not (app._serving and app._serving.addresses):
        await asyncio.sleep(0.001)
    client = open_vuer_client(app._serving.uri)
    await client.connect()
    while not app.sessions:
        await asyncio.sleep(0.001)
    return task, client


async def has_said_goodbye(client):
    async with asyncio.timeout(10):
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (1001, "the server is going away")
        await client.aclose()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("run", RUNNERS.values(), ids=RUNNERS)
@pytest.mark.parametrize("how", ["serve", "block"])
def test_cancelling_the_task_that_serves(run, how):
    async def main():
        app = new_app()

        async def block():
            async with open_vuer_server(app):
                await asyncio.sleep(3600)

        task, client = await serving(app, app.serve if how == "serve" else block)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        assert done == {task}
        assert task.cancelled()
        await has_said_goodbye(client)

    run(main())


def test_a_group_in_which_a_sibling_fails():
    async def main():
        app, clients = new_app(), []
        with pytest.raises(ExceptionGroup, check=holds(KeyError)):
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                group.create_task(app.serve())
                while not (app._serving and app._serving.addresses):
                    await asyncio.sleep(0.001)
                client = open_vuer_client(app._serving.uri)
                await client.connect()
                clients.append(client)
                raise KeyError("a sibling")
        await has_said_goodbye(clients[0])

    asyncio.run(main())


def test_a_time_limit_on_serving():
    async def main():
        app = new_app()
        task, client = await serving(app, lambda: asyncio.wait_for(app.serve(), 0.3))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 10)
        await has_said_goodbye(client)

    asyncio.run(main())


def test_cancelling_the_task_that_serves_a_relay():
    async def main():
        relay = asyncio.get_running_loop().create_future()
        status = SimpleNamespace(started=relay.set_result)
        task = asyncio.create_task(serve_arc_relay(port=0, task_status=status))
        agent = ARCClient((await relay).url)
        await agent.register()
        await agent.connect()
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        assert done == {task}
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionClosed, match="1001"):
                await agent.recv()
            await agent.close()

    asyncio.run(main())


@pytest.mark.anyio
async def test_it_ends_while_one_that_it_has_refused_has_not_left(new_server):
    """Who was told once that it gets nothing is not told again: nothing may follow that."""
    async with open_vuer_server(new_server()) as server:
        stream = await anyio.connect_tcp("127.0.0.1", server.port)
        await stream.send(b"this is no HTTP\r\n\r\n")
        got = await stream.receive()
        with pytest.raises(anyio.EndOfStream):  # the server waits for this side to leave
            while True:
                got += await stream.receive()
    async with stream:
        assert got.startswith(b"HTTP/1.1 400 ")
        assert got.count(b"HTTP/1.1") == 1
