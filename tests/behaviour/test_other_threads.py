"""Calls from another thread than the loop's, from another loop, and in a forked child."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import trio

from vuer_trio import (
    ClientClosed,
    EncodeError,
    Fifo,
    OutboxFull,
    SceneStore,
    Vuer,
    VuerClient,
    open_vuer_server,
)
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.schemas import Box, DefaultScene

pytestmark = pytest.mark.anyio

ANOTHER_THREAD = (
    r"another thread.*client\.threadsafe\.send\(event\).*(from_thread\.run_sync|call_soon)"
)


async def in_a_thread(fn, *args):
    """It runs while the loop does."""
    with anyio.fail_after(60):
        return await anyio.to_thread.run_sync(partial(fn, *args))


@pytest.fixture
async def pair(new_server, open_client):
    """A client and its session."""
    app, sessions, there = new_server(), [], anyio.Event()

    @app.spawn
    async def main(session):
        sessions.append(session)
        there.set()
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        with anyio.fail_after(60):
            await there.wait()
        yield app, client, sessions[0]


def event(value) -> ClientEvent:
    return ClientEvent(etype="N", value=value)


async def test_a_call_from_another_thread_is_refused_before_anything_changes(pair):
    app, client, session = pair
    calls = [
        lambda: client.send @ event(1),
        lambda: client.send_nowait(event(1)),
        client.recv_nowait,
        lambda: client.latest("X"),
        lambda: client.on("X", print),
        lambda: session @ ServerEvent(1, etype="A"),
        lambda: session.send_nowait(ServerEvent(1, etype="A")),
        lambda: session.upsert @ Box(key="b"),
        session.recv_nowait,
        lambda: session.start_soon(anyio.sleep, 0),
        lambda: session.spawn_task(anyio.sleep, 0),
        lambda: app.broadcast @ ServerEvent(1, etype="A"),
        lambda: app.broadcast.upsert @ Box(key="b"),
    ]

    def call_all():
        for call in calls:
            with pytest.raises(RuntimeError, match=ANOTHER_THREAD):
                call()

    before = client.statistics()
    await in_a_thread(call_all)
    await client.flush(timeout=60)
    await session.flush(timeout=60)
    after = client.statistics()
    assert (after.sent, after.received) == (before.sent, before.received)
    client.send @ event("from the loop")  # all is as it was
    assert (await session.recv(timeout=60)) == "INIT"
    assert (await session.recv(timeout=60)).value == "from the loop"


async def test_threadsafe_calls_wake_the_loop_at_once(pair):
    app, client, session = pair

    def camera():
        client.threadsafe.send @ event(1)
        client.threadsafe.send(event(2))
        client.threadsafe.send_nowait(event(3))
        client.threadsafe.send_many([event(4), event(5)])
        session.threadsafe.upsert @ Box(key="a")
        session.threadsafe.update({"key": "a", "color": "red"})
        session.threadsafe @ ServerEvent(1, etype="X")
        session.threadsafe.send @ ServerEvent(1, etype="X")
        session.threadsafe.send_nowait(ServerEvent(1, etype="X"))
        app.threadsafe.broadcast.remove @ "a"
        app.threadsafe.broadcast @ ServerEvent(1, etype="Y")

    await in_a_thread(camera)
    got = [(await session.recv(timeout=60)).value for _ in range(6)]
    assert got[1:] == [1, 2, 3, 4, 5]
    names = [(await client.recv(timeout=60)).etype for _ in range(7)]
    assert names == ["UPSERT", "UPDATE", "X", "X", "X", "REMOVE", "Y"]


async def test_an_idle_loop_is_woken(pair):
    """Nothing but the call of the thread happens."""
    _, client, session = pair
    await session.till("INIT")
    await client.flush()
    thread = threading.Thread(target=lambda: session.threadsafe.upsert @ Box(key="a"))
    with anyio.fail_after(15):  # a heartbeat is 20 s
        thread.start()
        assert await client.recv() == "UPSERT"
    await in_a_thread(thread.join)


async def test_what_is_wrong_is_raised_in_the_calling_thread(new_server, open_client):
    async with open_vuer_server(new_server()) as server:
        async with open_client(server.uri, outbox=Fifo(1)) as client:
            permit = await client.send  # the only slot there is
            with pytest.raises(OutboxFull):
                await in_a_thread(client.threadsafe.send, event(1))
            permit.release()
            with pytest.raises(EncodeError):
                await in_a_thread(client.threadsafe.send, event(object()))
            client.threadsafe.send(event("in the loop's own thread, at once"))
            await client.flush(timeout=60)
        with pytest.raises(ClientClosed):
            await in_a_thread(client.threadsafe.send, event(1))
    never = VuerClient(server.uri)
    with pytest.raises(ClientClosed, match="Not connected"):
        never.threadsafe.send(event(1))


async def test_a_store_belongs_to_the_loop_of_its_subscribers(new_server, open_client):
    app, store, there = new_server(), SceneStore(), anyio.Event()
    await in_a_thread(lambda: store.set @ DefaultScene())  # nobody's so far

    @app.spawn
    async def main(session):
        async with store.subscribe(session):
            there.set()
            await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        with anyio.fail_after(60):
            await there.wait()
        assert await client.recv(timeout=60) == "SET"
        with pytest.raises(RuntimeError, match="another thread"):
            await in_a_thread(lambda: store.upsert @ Box(key="a"))
        assert store.scene.get("a") is None
        await in_a_thread(lambda: store.threadsafe.upsert @ Box(key="a"))
        assert store.scene.get("a") is not None
        assert await client.recv(timeout=60) == "UPSERT"


@pytest.mark.parametrize("theirs", ["trio", "asyncio"])
async def test_another_loop_is_refused(pair, theirs):
    _, client, session = pair

    async def elsewhere():
        calls = [
            client.flush,
            client.close,
            client.recv,
            partial(client.recv, timeout=1),
            client.wait_closed,
            partial(client.send_many, [event(1)]),
            session.flush,
            session.recv,
            partial(session.till, "X"),
        ]
        for call in calls:
            with pytest.raises(RuntimeError, match="event loop of another thread"):
                await call()
        with pytest.raises(RuntimeError, match="event loop of another thread"):
            while True:
                await client.send(event(1))

    run = partial(trio.run, elsewhere) if theirs == "trio" else lambda: asyncio.run(elsewhere())
    before = client.statistics().sent
    await in_a_thread(run)
    await client.flush(timeout=60)
    assert client.statistics().sent == before
    assert client.connected


def test_a_loop_that_has_ended_is_no_deadlock():
    clients = []

    async def main():
        app = Vuer(port=0)
        async with open_vuer_server(app) as server:
            clients.append(await VuerClient(server.uri).connect())
            await clients[0].close()

    for run in (partial(trio.run, main), lambda: asyncio.run(main())):
        run()
        with pytest.raises(ClientClosed):
            clients.pop().threadsafe.send(event(1))


FORKS = """
import os, signal, sys, threading
import anyio, trio
from vuer_trio import Vuer, open_vuer_client, open_vuer_server
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.sync import open_vuer_client as open_blocking_client

def refused(call):
    try:
        call()
    except RuntimeError as error:
        assert "opened in another process" in str(error), error
    else:
        raise AssertionError(call)

def awaited(call):
    async def main():
        await call()
    return lambda: anyio.run(main, backend=sys.argv[1])

def child(client, blocking, app, session):
    signal.alarm(30)
    event = ClientEvent(etype="A")
    assert not client.connected and not blocking.connected and not session.connected
    refused(lambda: client.send @ event)
    refused(lambda: client.threadsafe.send(event))
    refused(client.recv_nowait)
    refused(awaited(client.flush))
    refused(awaited(client.recv))
    refused(awaited(client.close))
    refused(lambda: blocking.send @ event)
    refused(blocking.recv)
    refused(blocking.flush)
    refused(lambda: session @ ServerEvent(1, etype="B"))
    refused(lambda: app.broadcast @ ServerEvent(1, etype="B"))
    refused(lambda: app.threadsafe.broadcast @ ServerEvent(1, etype="B"))
    blocking.close()  # lets go of the other process's
    with blocking:  # and opens one of its own
        blocking.flush(timeout=60)
    async def anew():
        async with client:
            await client.flush(timeout=60)
    anyio.run(anew, backend=sys.argv[1])

async def main():
    app = Vuer(port=0)
    sessions = []
    @app.spawn
    async def program(session):
        sessions.append(session)
        await session.forever()
    async with open_vuer_server(app) as server, open_vuer_client(server.uri) as client:
        while not sessions:
            await anyio.sleep(0.001)
        blocking = await anyio.to_thread.run_sync(open_blocking_client(server.uri).connect)
        def fork():
            pid = os.fork()
            if pid == 0:
                try:
                    child(client, blocking, app, sessions[0])
                except BaseException:
                    import traceback
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        status = await anyio.to_thread.run_sync(fork)
        client.send @ ClientEvent(etype="A")  # the child has not touched it
        await client.flush(timeout=60)
        await anyio.to_thread.run_sync(blocking.flush, 10)
        await anyio.to_thread.run_sync(blocking.close)
    sys.exit(status)

anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_forked_child_has_no_part_in_what_was_open(backend):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, backend],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr
