"""Cancels a server, and one session of it, at every place of a life, and looks what is left."""

from __future__ import annotations

import pytest
import trio

from tests.behaviour.memory_server import memory_server
from tests.repetitions import cancel_everywhere
from vuer_trio import (
    ClientClosed,
    ConnectionClosed,
    ConnectionFailed,
    Fifo,
    Vuer,
    VuerError,
    open_vuer_client,
)
from vuer_trio.events import ClientEvent, Frame, Noop, ServerEvent, Upsert
from vuer_trio.schemas import Element

pytestmark = [pytest.mark.trio, pytest.mark.no_cover]

TRANSPORTS = ["trio-websocket", "websockets", "wsproto"]


def box(n):
    return Element(tag="Box", key="box", n=n)


def new_app(transport, ended):
    app = Vuer(transport=transport, outbox=Fifo(2), close_timeout=1)

    async def lives(name):
        try:
            await trio.sleep_forever()
        finally:
            ended.append(name)

    async def starts(*, task_status):
        task_status.started("started")
        await lives("start")

    @app.add_handler("ECHO")
    async def echo(event, session):
        await session.send(ServerEvent(event.value, etype="ECHO"))

    @app.add_handler("GRAB", concurrent=True)
    async def grab(event, session):
        render = await session.grab_render(ttl=5)
        await session.send(ServerEvent(render.value, etype="GRABBED"))

    @app.spawn(client="python")
    async def main(session):
        session.start_soon(lives, "soon")
        await session.start(starts)
        session.spawn_task(lives("coroutine"))
        for n in range(4):
            await session.send(Upsert(box(n)))
        await session.flush()
        assert (await session.till("INIT")).value is session.client_info
        async for event in session:
            if event == "ASK":
                break
        await session.send @ Noop()
        await session.forever()

    return app


async def life(stream, transport, seen):
    """What a client does; returns when it is done, or the connection has ended."""
    try:
        async with open_vuer_client(stream=stream, transport=transport) as client:
            seen.append(client)
            client.answer("GRAB_RENDER", picture)
            client.send @ ClientEvent(etype="ECHO", value=1)
            client.send @ ClientEvent(etype="GRAB")
            client.send @ ClientEvent(etype="ASK")
            left = {"ECHO", "GRABBED", "NOOP"}
            async for event in client:
                left.discard(event.etype)
                if not left:
                    break
            seen.append("left over" if left else "complete")
    except (ConnectionClosed, ClientClosed, ConnectionFailed) as exc:
        seen.append(exc)


class Witness:
    """A client that stays, and keeps what comes back to it."""

    def __init__(self):
        self.client = None
        self.got = []
        self.close_code = None

    async def stay(self, stream, transport, *, task_status):
        async with open_vuer_client(stream=stream, transport=transport) as self.client:
            task_status.started()
            async for event in self.client:
                self.got.append(event.value)
        self.close_code = self.client.close_code

    async def echo(self, value):
        self.client.send @ ClientEvent(etype="ECHO", value=value)
        with trio.fail_after(60):
            while value not in self.got:
                await trio.sleep(0.01)


async def picture(event):
    return "picture"


async def everywhere(transport, act, check):
    """``act(server, sessions)`` once at each place of a client's life."""
    ended = []

    async def scenario(here):
        ended.clear()
        app, seen, observer = new_app(transport, ended), [], Witness()
        async with trio.open_nursery() as outside, memory_server(app) as server:
            await outside.start(observer.stay, server.connect(), transport)
            await observer.echo("before")
            first = app.sessions
            async with here.instead(lambda: act(server, first)):
                try:
                    await life(server.connect(), transport, seen)
                except OSError as exc:
                    seen.append(exc)  # of the stream, which the server would not take any more
            await check(server, seen, observer, here.fired)
            server.cancel()
            await server.ended.wait()
            assert server.serving.server.connections == {}
            assert app.sessions == ()
        assert ended.count("soon") <= 2
        assert here.fired or sorted(ended) == sorted(["soon", "start", "coroutine"] * 2)

    return await cancel_everywhere(scenario)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_is_cancelled_anywhere(transport, autojump_clock):
    def cancel(server, first):
        server.cancel()

    async def check(server, seen, observer, fired):
        if not fired:
            assert "complete" in seen
            return
        with trio.fail_after(60):
            await server.ended.wait()
        with trio.fail_after(60):
            while observer.close_code is None:
                await trio.sleep(0.01)
        assert observer.close_code == 1001
        client = seen[0] if seen and not isinstance(seen[0], Exception) else None
        if client is not None and "complete" not in seen:
            assert client.close_code == 1001, seen

    assert await everywhere(transport, cancel, check) > 60


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_session_that_is_cancelled_anywhere(transport, autojump_clock):
    def cancel(server, first):
        later = [session for session in server.app.sessions if session not in first]
        if not later:
            return False
        later[0].cancel_scope.cancel()
        return True

    async def check(server, seen, observer, fired):
        with trio.fail_after(60):
            while len(server.serving.server.connections) > 1:
                await trio.sleep(0.01)
        if not fired:
            assert "complete" in seen
        elif seen and not isinstance(seen[0], Exception) and "complete" not in seen:
            assert seen[0].close_code == 1000, seen
        await observer.echo("after")

    assert await everywhere(transport, cancel, check) > 60


async def test_a_binding_that_is_cancelled_anywhere(autojump_clock):
    async def scenario(here):
        closed, count = [], 0
        app = Vuer(transport="websockets")

        @app.bind
        async def frames(session):
            try:
                for n in range(5):
                    yield Frame(Upsert(box(n)), frame_rate=50)
            finally:
                closed.append(session)

        async with memory_server(app) as server:
            stream = server.connect()
            async with here.instead(server.cancel):
                try:
                    async with open_vuer_client(stream=stream, transport="websockets") as client:
                        count = len([event async for event in client])
                except VuerError:
                    assert here.fired
                else:
                    assert here.fired or (client.close_code, count) == (1000, 5)
        assert here.fired or len(closed) == 1

    assert await cancel_everywhere(scenario) > 30
