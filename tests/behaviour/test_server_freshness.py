"""`latest` and `lease` of sessions and apps: to the exact virtual second, and on every backend."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager

import anyio
import pytest
import trio

from tests.behaviour.memory_server import memory_server
from tests.behaviour.raw_client import masked, pack
from tests.behaviour.test_server_limits import Line, lockstep
from vuer_trio import (
    Fifo,
    Latest,
    Stale,
    Vuer,
    open_vuer_server,
)
from vuer_trio.events import ClientEvent
from vuer_trio.schemas import Box
from vuer_trio.testing import FakeHeadset, cancel_everywhere

pytestmark = pytest.mark.on_time


def hand(n, etype="HAND_MOVE"):
    return ClientEvent(etype=etype, value=n)


@asynccontextmanager
async def headset(server, **info):
    """A client in memory, in virtual time. It says what ``info`` says of itself."""
    async with FakeHeadset(server, info=info, heartbeat=1e6) as fake:
        await trio.testing.wait_all_tasks_blocked()
        yield fake.client


async def sends(client, *values, etype="HAND_MOVE"):
    for value in values:
        client.send @ hand(value, etype)
    await trio.testing.wait_all_tasks_blocked()


async def lasts(lease):
    """How long it holds from now on, if nothing but events keeps it."""
    began = trio.current_time()
    with pytest.raises(Stale):
        with lease:
            await trio.sleep_forever()
    return round(trio.current_time() - began, 6)


@pytest.fixture
def app():
    return Vuer(port=0, init_timeout=1e6)


virtual = pytest.mark.trio


# ---- latest


@virtual
async def test_the_first_question_looks_back(app, autojump_clock):
    async with memory_server(app) as server, headset(server) as client:
        await sends(client, 1, 2)
        await trio.sleep(1)
        (session,) = app.sessions
        assert session.latest("HAND_MOVE").value == 2
        assert app.latest("HAND_MOVE").value == 2
        with pytest.raises(Stale, match=r"the newest HAND_MOVE is 1 s old, over 0\.5 s"):
            app.latest("HAND_MOVE", max_age=0.5)
        with pytest.raises(Stale, match="no HEAD_MOVE has been received"):
            session.latest("HEAD_MOVE")
        await sends(client, 3)
        assert session.latest("HAND_MOVE", max_age=0.5).value == 3
        assert app.latest("HAND_MOVE", max_age=0.5).value == 3
        assert session.latest("INIT").etype == "INIT"


@virtual
async def test_who_asks_takes_nothing_away_from_handlers_and_recv(app, autojump_clock):
    handled = []
    app.add_handler("HAND_MOVE", lambda event, session: handled.append(event.value))
    async with memory_server(app) as server, headset(server) as client:
        (session,) = app.sessions
        with pytest.raises(Stale):
            session.latest("HAND_MOVE")
        await sends(client, 1, 2)
        assert session.latest("HAND_MOVE").value == 2
        assert handled == [1, 2]
        received = [(await session.recv()).value for _ in range(3)]
        assert received[1:] == [1, 2]


@virtual
async def test_what_is_looked_back_over_is_bounded(app, autojump_clock):
    async with memory_server(app) as server, headset(server) as client:
        (session,) = app.sessions
        freshness = session._dispatcher.freshness
        for n in range(100):
            await sends(client, n)
        assert len(freshness._recent) == 16
        await sends(client, bytes(20_000), etype="LARGE")
        assert freshness.bytes == 0
        with pytest.raises(Stale):  # what is older than a large one may not pass for the newest
            session.latest("HAND_MOVE")


@virtual
async def test_a_stranger_who_invents_types_fills_no_memory(app, autojump_clock):
    async with memory_server(app) as server, headset(server) as client:
        (session,) = app.sessions
        with pytest.raises(Stale):
            session.latest("T")
        for n in range(3000):
            await client.send(hand([0] * 10, f"T{n}"))
        await client.flush()
        freshness = session._dispatcher.freshness
        assert len(freshness._newest.items) == 256
        # What it takes counts as what waits does, towards max_buffered.
        assert session._kept >= freshness.bytes > 256 * 10 * 80
        assert session.latest("T2999").value == [0] * 10
        with pytest.raises(Stale):
            session.latest("T0")


# ---- leases


@virtual
async def test_a_lease_lasts_as_long_as_events_come(app, autojump_clock):
    async with memory_server(app) as server, headset(server) as client:
        (session,) = app.sessions

        async def moves():
            for n in range(10):
                await trio.sleep(0.1)
                client.send @ hand(n)

        for lease in (session.lease("HAND_MOVE", max_age=0.2), app.lease("HAND_MOVE", max_age=0.2)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(moves)
                assert await lasts(lease) == 1.2
            await trio.sleep(1)


@virtual
@pytest.mark.parametrize("whose", ["session", "app"])
async def test_one_of_several_types_is_enough(app, autojump_clock, whose):
    async with memory_server(app) as server, headset(server) as client:
        lessor = app if whose == "app" else app.sessions[0]
        lease = lessor.lease(["HAND_MOVE", "CONTROLLER_MOVE"], max_age=0.2)
        assert "HAND_MOVE or CONTROLLER_MOVE" in repr(lease)

        async def moves():
            await trio.sleep(0.1)
            client.send @ hand(1)
            await trio.sleep(0.15)
            client.send @ hand(1, "CONTROLLER_MOVE")
            client.send @ hand(1, "HEAD_MOVE")
            await trio.sleep(0.15)
            client.send @ hand(1, "HEAD_MOVE")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(moves)
            assert await lasts(lease) == 0.45


@virtual
async def test_a_headset_that_is_back_in_time_keeps_its_lease(app, autojump_clock):
    async with memory_server(app) as server:

        async def drops_and_returns():
            async with headset(server) as client:
                await sends(client, 1)  # at 0
            await trio.sleep(0.4)
            async with headset(server) as client:
                await sends(client, 2)  # at 0.4
                await trio.sleep(0.3)
                await sends(client, 3)  # at 0.7
            await trio.sleep(2)
            async with headset(server) as client:
                await sends(client, 4)
                await trio.sleep(0.25)

        async with trio.open_nursery() as nursery:
            lease = app.lease("HAND_MOVE", max_age=0.5)
            nursery.start_soon(drops_and_returns)
            assert await lasts(lease) == 1.2
            assert app.latest("HAND_MOVE").value == 3  # though its session has ended
            await trio.sleep(1.6)  # it is back since 0.1 s
            assert app.latest("HAND_MOVE", max_age=0.2).value == 4
            assert await lasts(app.lease("HAND_MOVE", max_age=0.5)) == 0.4


@virtual
async def test_a_line_that_is_cut_ends_a_lease_as_silence_does(app, autojump_clock):
    """Half open: the server does not know, and does not need to."""
    async with memory_server(app) as server, headset(server) as client:
        await sends(client, 1)
        assert await lasts(app.lease("HAND_MOVE", max_age=0.3)) == 0.3
        assert app.sessions[0].connected


@virtual
async def test_filters_tell_whose_events_count(app, autojump_clock):
    async with memory_server(app) as server:
        async with headset(server, robot="left") as left, headset(server, robot="right") as right:
            await sends(left, "l")
            await sends(right, "r")
            assert app.latest("HAND_MOVE").value == "r"
            assert app.latest("HAND_MOVE", robot="le*").value == "l"
            with pytest.raises(Stale):
                app.latest("HAND_MOVE", robot="middle")

            async def moves():
                for _ in range(5):
                    await trio.sleep(0.1)
                    await sends(right, "r")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(moves)
                assert await lasts(app.lease("HAND_MOVE", max_age=0.2, robot="left")) == 0.2
                assert await lasts(app.lease("HAND_MOVE", max_age=0.2)) == 0.5
        # One that comes later is told as well.
        async with headset(server, robot="left") as again:
            await sends(again, "again")
            assert app.latest("HAND_MOVE", robot="left").value == "again"


@virtual
async def test_filters_that_nobody_asks_with_any_more_are_forgotten(app, autojump_clock):
    async with memory_server(app) as server, headset(server, robot="1") as client:
        with app.lease("HAND_MOVE", max_age=10, robot="1"):
            for n in range(1000):
                with pytest.raises(Stale):
                    app.latest("HAND_MOVE", robot=f"?{n}")
            assert len(app._registered.newest._views) <= 66
            await sends(client, 7)
            assert app.latest("HAND_MOVE", robot="1").value == 7


@virtual
async def test_nothing_is_kept_for_an_app_that_never_asks(app, autojump_clock):
    async with memory_server(app) as server:
        async with headset(server) as client:
            await sends(client, 1)
            assert app.sessions[0]._dispatcher._watching == ()
        await trio.testing.wait_all_tasks_blocked()
        newest = app._registered.newest
        assert newest._views == newest._dispatchers == {}


@pytest.mark.parametrize(
    ("etype", "max_age", "error"),
    [(7, 1.0, TypeError), ([], 1.0, TypeError), (["A", 7], 1.0, TypeError), ("A", -1, ValueError)],
)
def test_what_no_lease_can_be_is_refused(app, etype, max_age, error):
    with pytest.raises(error, match="must be"):
        app.lease(etype, max_age=max_age)


def test_an_app_that_does_not_run_has_received_nothing(app):
    with pytest.raises(Stale, match="no HAND_MOVE has been received"):
        app.latest("HAND_MOVE")


# ---- on every backend


@pytest.mark.anyio
async def test_a_robot_stops_when_its_operator_goes(new_server, open_client):
    app, moved, stopped = new_server(), [], anyio.Event()
    first_moved = anyio.Event()

    async def robot():
        with pytest.raises(Stale):
            with app.lease("HAND_MOVE", max_age=0.5):
                try:
                    while True:
                        moved.append(app.latest("HAND_MOVE").value)
                        first_moved.set()
                        await anyio.sleep(0.01)
                finally:
                    stopped.set()

    async with open_vuer_server(app) as server, anyio.create_task_group() as tasks:
        async with open_client(server.uri) as client:
            await client.send(hand(1))
            await client.flush()
            tasks.start_soon(robot)
            await first_moved.wait()
            for n in range(2, 10):
                await client.send(hand(n))
                await anyio.sleep(0.02)
        with anyio.fail_after(60):
            await stopped.wait()
    assert moved[0] == 1
    assert moved[-1] == 9


@pytest.mark.anyio
async def test_a_lease_of_a_session_can_be_cancelled_at_every_await(new_server, open_client):
    app = new_server()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.send(hand(1))
        await client.flush()
        (session,) = app.sessions

        async def scenario():
            with session.lease("HAND_MOVE", max_age=30), app.lease("HAND_MOVE", max_age=30):
                await client.send(hand(2))
                await client.flush()
            assert not session._dispatcher.freshness.held
            assert not app._newest({}).held

        assert await cancel_everywhere(scenario) > 2
        assert not session._dispatcher.freshness.held
        assert not app._newest({}).held


# ---- a session that falls behind says so


@virtual
@pytest.mark.parametrize(
    ("outbox", "warnings"), [(Fifo(1000), 1), (Latest(), 0)], ids=["Fifo", "Latest"]
)
async def test_a_session_that_falls_behind_is_told_of_once(
    autojump_clock, caplog, outbox, warnings
):
    caplog.set_level(logging.WARNING, "vuer_trio.link")
    app = Vuer(port=0, outbox=outbox, stall_timeout=60)
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        line = Line(server.connect(lockstep))
        await line.handshake()
        await line.stream.send_all(masked(pack("INIT", {"client": "x"})))
        (session,) = app.sessions

        pause = 0.01

        async def reads():
            while True:
                await line.read(65_536)
                await trio.sleep(pause)

        async def shows(count):
            for n in range(count):
                session.upsert @ Box(key="box", position=[n, 0, 0], data=bytes(30_000))
                await trio.sleep(0.05)

        nursery.start_soon(reads)
        await shows(100)  # 5 s, in which it keeps up
        assert not caplog.records
        pause = 0.5
        await shows(200)
        nursery.cancel_scope.cancel()
    found = [record for record in caplog.records if "more than 1 s behind" in record.getMessage()]
    assert len(found) == warnings
    if warnings:
        assert "outbox=Latest()" in found[0].getMessage()
