"""What a server's programmer may get wrong: said at once, where it is, and nothing else ends."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial

import anyio
import pytest

from tests.behaviour.raw_client import eventually, witnessed
from vuer_trio import CallTimeout, ConnectionClosed, EncodeError, open_vuer_server
from vuer_trio._connection.policies import Fifo
from vuer_trio.events import ClientEvent, Frame, Noop, ServerRPC, Upsert
from vuer_trio.schemas import Box

pytestmark = pytest.mark.anyio


def event(etype, value=None):
    return ClientEvent(etype=etype, value=value)


async def test_a_frame_never_goes_out(new_server, open_client):
    app = new_server()
    async with witnessed(app, open_client) as both:
        (session,) = app.sessions
        for send in (
            lambda: session @ Frame(Noop()),
            lambda: session.send @ Frame(Noop()),
            lambda: session.send_nowait(Frame(Noop())),
            lambda: app.broadcast @ Frame(Noop()),
        ):
            with pytest.raises(EncodeError, match="a Frame is for a `bind` function"):
                send()
        for wait in (session.send, app.broadcast.send):
            with pytest.raises(EncodeError, match="a Frame is for a `bind` function"):
                await wait(Frame(Noop()))
        await both.echo()  # nothing of it has come before


@pytest.mark.parametrize("rate", [0, -60, float("nan")])
def test_a_rate_that_can_not_be(rate):
    with pytest.raises(ValueError, match="more than 0"):
        Frame(Noop(), frame_rate=rate)


async def test_arguments_that_can_not_be(new_server, open_client):
    app = new_server()
    async with witnessed(app, open_client) as both:
        (session,) = app.sessions
        with pytest.raises(TypeError, match="event must be a request: a ServerRPC"):
            await session.rpc(Noop())
        with pytest.raises(TypeError, match="etype must be a str"):
            await session.till(ClientEvent)
        with pytest.raises(
            TypeError,
            match=r"for start_soon must be an async function, got .*; pass it uncalled",
        ):
            session.start_soon(anyio.sleep(1))
        with pytest.raises(
            TypeError, match=r"the function for start must be an async function, got 5; pass"
        ):
            await session.start(5)
        for code, reason, error in [
            (99_999, "", ValueError),
            (1006, "", ValueError),
            (999, "", ValueError),
            ("1000", "", TypeError),
            (True, "", TypeError),
            (1000, 5, TypeError),
        ]:
            with pytest.raises(error):
                await session.aclose(code, reason)
            with pytest.raises(error):
                await both.client.aclose(code, reason)
        await both.echo()  # it is open
        await session.aclose(4000, "ä" * 500)
        await both.client.wait_closed()
        assert (both.client.close_code, both.client.close_reason) == (4000, "ä" * 61)


async def test_requests_take_their_documented_arguments_by_place_too(new_server, open_client):
    app = new_server()
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await eventually(lambda: app.sessions)
        (session,) = app.sessions
        with pytest.raises(CallTimeout, match=r"within 0\.01 s"):
            await session.grab_render(0.01, quality=0.5, key="K")
        with pytest.raises(CallTimeout, match=r"within 0\.01 s"):
            await session.get_webxr_mesh("mesh", 0.01)
        with pytest.raises(CallTimeout, match=r"within 0\.01 s"):
            await session.rpc(ServerRPC(None), 0.01)
        picture, mesh, _ = [await client.recv(timeout=60) for _ in range(3)]
        assert (picture.key, picture.data) == ("K", {"quality": 0.5})
        assert (mesh.key, mesh.data) == ("mesh", {})


async def test_functions_of_the_wrong_kind(new_server, open_client, caplog):
    app = new_server()

    def yields(event, session):
        yield

    async def yields_too(event, session):
        yield

    for handler in (yields, yields_too):
        with pytest.raises(TypeError, match="it would never run"):
            app.add_handler("X", handler)

    async def generator(session):
        yield

    with pytest.raises(TypeError, match="pass it to bind"):
        app.spawn(generator)

    with pytest.raises(TypeError, match="spawn: sync_program must be an async function"):

        @app.spawn
        def sync_program(session):
            session @ Noop()

    @app.spawn
    def unknowable_program(session):
        session @ Noop()
        return session.client_info and None

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert await client.recv(timeout=60) == "NOOP"
        with pytest.raises(ConnectionClosed, match="1011"):
            await client.recv(timeout=60)
    assert "unknowable_program returned nothing to await: spawn an async function" in caplog.text
    assert "unknowable_program raised, so the session of" in caplog.text


@pytest.mark.parametrize("how", ["handler", "concurrent", "task", "task at the end"])
async def test_the_error_of_another_connection_is_an_error(new_server, open_client, caplog, how):
    """Only that its own connection has ended is nothing to tell of a handler, or of a task."""
    app, other_app = new_server(), new_server()
    async with open_vuer_server(other_app) as other_server:
        other = open_client(other_server.uri)
        await other.connect()
        await other.aclose()

    async def uses_the_other(*args):
        await other.send(event("X"))

    async def at_the_end(session):
        try:
            await session.forever()
        finally:
            session @ Noop()  # its own connection, which has gone

    app.add_handler("GO", uses_the_other, concurrent=how == "concurrent")
    if how.startswith("task"):

        @app.spawn
        async def main(session):
            session.spawn_task(uses_the_other if how == "task" else partial(at_the_end, session))
            await session.forever()

    async with witnessed(app, open_client) as both:
        if how != "task at the end":
            both.client.send @ event("GO" if how != "task" else "NOTHING")
            await eventually(lambda: "Traceback" in caplog.text)
            assert "was closed by this side" in caplog.text
        await both.echo()
    if how == "task at the end":
        assert "Traceback" not in caplog.text


async def test_a_request_goes_out_in_the_order_of_the_calls(new_server, open_client):
    """Also when the calling task has run for so long that another `await` would let others run."""
    app = new_server()
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await eventually(lambda: app.sessions)
        (session,) = app.sessions

        async def ask(n):
            calls.append(f"RPC {n}")
            with pytest.raises(CallTimeout):
                await session.rpc(ServerRPC(n), ttl=0.05)

        calls = []
        for n in range(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(ask, n)
                await anyio.lowlevel.checkpoint()
                session @ Noop()
                calls.append("NOOP")
        got = [await client.recv(timeout=60) for _ in calls]
        assert [f"RPC {e.data}" if e == "RPC" else e.etype for e in got] == calls


async def test_a_request_waits_for_room(new_server, open_client):
    app = new_server(outbox=Fifo(2))
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.answer("RPC", lambda request: request.data)
        await eventually(lambda: app.sessions)
        (session,) = app.sessions
        session.upsert @ Box(key="a")
        session.upsert @ Box(key="b")
        assert (await session.rpc(ServerRPC(5), ttl=5)).value == 5
        with anyio.CancelScope() as scope:
            scope.cancel()
            session.upsert @ Box(key="a")
            session.upsert @ Box(key="b")
            await session.rpc(ServerRPC(6), ttl=5)
        assert scope.cancelled_caught
        await session.send(Upsert(Box(key="c")))
        assert [(await client.recv(timeout=60)).etype for _ in range(5)] == ["UPSERT"] * 5


async def test_a_generator_is_closed_where_it_waits(new_server, open_client):
    app, seen = new_server(), []

    async def numbers():
        try:
            while True:
                yield Frame(Noop(), frame_rate=1000)
        finally:
            seen.append("inner")

    @app.bind
    async def main(session):
        async with aclosing(numbers()) as inner:
            async for frame in inner:
                yield frame

    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as client:
            assert await client.recv(timeout=60) == "NOOP"
        await eventually(lambda: seen == ["inner"])
