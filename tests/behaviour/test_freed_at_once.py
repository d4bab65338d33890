"""What has ended is freed at once: nothing of it waits for the garbage collector."""

from __future__ import annotations

import gc
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.behaviour.raw_client import CLOSE, eventually, masked, pack, raw
from vuer_trio import Backoff, open_vuer_server
from vuer_trio.schemas import Box, DefaultScene

pytestmark = [pytest.mark.anyio, pytest.mark.needs("freeing at once")]

#: an error that is kept, as by who asks why a connection ended
errors_are_freed = pytest.mark.skipif(
    sys.version_info[:2] == (3, 12),
    reason="in 3.12 the frames of an error lead to all that called them, up to the loop",
)
SOON = Backoff(initial=0.001)
TIMES = 5


@contextmanager
def no_circles() -> Iterator[None]:
    """None of the `TIMES` repetitions in the block leaves an object of this package's for the
    garbage collector. (One of them may: asyncio's task groups, by the order of cancellations.)"""
    gc.collect()
    gc.disable()
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = Counter(
            f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.garbage
        )
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    ours = {name: n for name, n in left.items() if name.startswith("vuer_trio.")}
    assert {name: n for name, n in ours.items() if n >= TIMES} == {}


@pytest.fixture
def app(new_server):
    app = new_server(close_timeout=0.05)

    @app.spawn
    async def main(session):
        session.set @ DefaultScene(Box(key="box"))
        await session.forever()

    @app.add_handler("ASK")
    async def ask(event, session):
        session.upsert @ Box(key="box")

    return app


async def leave(client):
    await client.send(masked(b"\x03\xe8", CLOSE))
    await client.read_to_the_end()


async def reset(client):
    await client.reset()


async def send_nonsense(client):
    await client.send(masked(b"\xc1"))
    await client.read_to_the_end()


@pytest.mark.parametrize("end", [leave, pytest.param(reset, marks=errors_are_freed), send_nonsense])
async def test_a_session_that_its_client_ends(app, end):
    async with open_vuer_server(app) as server:

        async def one_session():
            async with raw(server.port) as client:
                await client.handshake()
                await client.send(masked(pack("INIT")) + masked(pack("ASK")))
                while len(client.frames()) < 2:
                    client.received += await client.stream.receive()
                await end(client)
            await eventually(lambda: not server.server.connections)

        await one_session()  # what is made once
        with no_circles():
            for _ in range(TIMES):
                await one_session()


async def test_a_session_that_the_server_ends(app, open_client):
    async with open_vuer_server(app) as server:

        async def one_session():
            async with open_client(server.uri) as client:
                assert await client.recv(timeout=60) == "SET"
                [session] = app.sessions
                await session.aclose()
                await client.wait_closed()

        await one_session()
        with no_circles():
            for _ in range(TIMES):
                await one_session()


async def test_a_client(app, open_client):
    async with open_vuer_server(app) as server:

        async def one_client():
            async with open_client(server.uri) as client:
                client.on("SET", lambda event: None)
                client.on("SET", lambda event: None, concurrent=True)
                assert await client.recv(timeout=60) == "SET"
                await client.flush(timeout=60)
            await eventually(lambda: not server.server.connections)

        await one_client()
        with no_circles():
            for _ in range(TIMES):
                await one_client()


async def test_links_that_follow_each_other(app, open_client):
    async with open_vuer_server(app) as server:
        async with open_client(server.uri, reconnect=SOON) as client:

            async def one_link():
                assert await client.recv(timeout=60) == "SET"
                [session] = app.sessions
                await session.aclose()
                await eventually(lambda: session not in app.sessions)

            await one_link()
            with no_circles():
                for _ in range(TIMES):
                    await one_link()
                await client.recv(timeout=60)


async def test_sessions_whose_client_does_not_answer_their_close_frame(app):
    """Their link is cancelled by `close_timeout`, in the middle of a read."""
    async with open_vuer_server(app) as server:

        async def one_session():
            async with raw(server.port) as client:
                await client.handshake()
                await client.send(masked(pack("INIT")))
                await eventually(lambda: len(app.sessions) == 1)
                [session] = app.sessions
                await session.aclose()
                await eventually(lambda: not server.server.connections)

        await one_session()
        with no_circles():
            for _ in range(TIMES):
                await one_session()


@errors_are_freed
@pytest.mark.parametrize("how", ["awaited", "result", "left", "cancelled"])
async def test_a_task_and_its_error(new_server, open_client, how, caplog):
    caplog.set_level(logging.CRITICAL, "vuer_trio.server")  # a record would keep the error
    app, ended = new_server(), []

    async def fails():
        raise ValueError("of its own")

    async def one_task(session):
        if how == "awaited":
            with suppress(ValueError):
                await session.spawn_task(fails)
        elif how == "result":
            with suppress(ValueError):
                (await ended_one(session)).result()
        elif how == "left":
            await session.spawn_task(fails).wait()
        else:
            (task := session.spawn_task(session.forever)).cancel()
            await task.wait()

    async def ended_one(session):
        task = session.spawn_task(fails)
        await task.wait()
        return task

    @app.spawn
    async def main(session):
        await one_task(session)
        with no_circles():
            for _ in range(TIMES):
                await one_task(session)
        ended.append(True)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.wait_closed()
    assert ended
