"""Sessions of our server, with our client, on every backend."""

from __future__ import annotations

import logging
import socket

import anyio
import anyio.lowlevel
import pytest

from tests.resource_counts import task_count
from vuer_trio import (
    CallTimeout,
    ClientClosed,
    ConnectionClosed,
    ConnectionFailed,
    OutboxFull,
    RecvTimeout,
    open_vuer_server,
)
from vuer_trio._connection.policies import Fifo, Latest
from vuer_trio._net.byte_stream import StreamLayer
from vuer_trio.events import ClientEvent, Frame, Noop, ServerEvent, ServerRPC, Set, Update, Upsert
from vuer_trio.schemas import DefaultScene, Element

pytestmark = pytest.mark.anyio


def event(etype, value=None):
    return ClientEvent(etype=etype, value=value)


def box(key="box", **props):
    return Element(tag="Box", key=key, **props)


async def eventually(condition):
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.001)


async def test_a_call_of_a_verb_enqueues_as_its_short_form_does(new_server, open_client):
    """At the call, with nothing to await or to use: all arrive, in the order of the calls."""
    app = new_server()

    @app.spawn
    async def main(session):
        assert session.set(DefaultScene()) is None
        assert session.upsert(box("a")) is None
        session.upsert @ box("b")
        assert session.add(box("c"), to="a") is None
        assert session.update(box("a", color="red")) is None
        assert session.remove("b") is None

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        received = [event async for event in client]
    assert [event.etype for event in received] == [
        *("SET", "UPSERT", "UPSERT", "ADD", "UPDATE", "REMOVE")
    ]
    assert [event.data["nodes"][0]["key"] for event in received[1:5]] == ["a", "b", "c", "a"]


async def test_the_program_of_the_documents(new_server, open_client):
    app = new_server()

    @app.add_handler("SET_POSITION")
    async def on_position(event, session):
        session.upsert @ box(position=event.value)

    @app.spawn
    async def main(session):
        session.set @ DefaultScene(box(args=[1, 1, 1]))
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        scene = await client.recv(timeout=60)
        assert scene == "SET"
        assert scene.data["children"][0]["key"] == "box"
        client.send @ event("SET_POSITION", [1, 2, 3])
        moved = await client.recv(timeout=60)
        assert moved == "UPSERT"
        assert moved.data["nodes"][0]["position"] == [1, 2, 3]
        assert len(app.sessions) == 1
    assert app.sessions == ()


async def test_order_on_the_wire_is_the_order_of_the_calls(new_server, open_client):
    app = new_server()

    @app.spawn
    async def main(session):
        session.set @ DefaultScene()
        session.update @ box()
        session.add(box(), to="parent")
        session.upsert @ [box("a"), box("b")]
        session.remove @ "a"
        session @ Noop()
        await session.send(Upsert(box()))
        with pytest.raises(CallTimeout):
            await session.grab_render(ttl=0.05)
        session.remove @ ["a", "b"]
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        events = [await client.recv(timeout=60) for _ in range(9)]
    first = ["SET", "UPDATE", "ADD", "UPSERT", "REMOVE", "NOOP"]
    assert [e.etype for e in events] == [*first, "UPSERT", "GRAB_RENDER", "REMOVE"]
    assert events[2].data["to"] == "parent"
    assert [node["key"] for node in events[3].data["nodes"]] == ["a", "b"]
    assert events[8].data["keys"] == ["a", "b"]


@pytest.mark.slow
async def test_ten_thousand_upserts_without_an_await_arrive_in_order(new_server, open_client):
    app = new_server()

    @app.spawn
    async def main(session):
        for n in range(10_000):
            session.upsert @ box(n=n)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        got = [e.data["nodes"][0]["n"] async for e in client]
    assert got == list(range(10_000))
    assert client.close_code == 1000


async def test_no_room_is_an_error_at_the_call(new_server, open_client):
    app = new_server(outbox=Fifo(10))
    raised = []

    @app.spawn
    async def main(session):
        for _ in range(10):
            session.upsert @ box()
        with pytest.raises(OutboxFull) as info:
            session.upsert @ box()
        raised.append(str(info.value))
        await session.send(Upsert(box()))

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert len([e async for e in client]) == 11
    assert "10 of 10 messages" in raised[0]


async def test_a_program_that_returns_has_delivered_everything(new_server, open_client):
    app = new_server()

    @app.spawn
    async def main(session):
        for _ in range(50):
            session.upsert @ box()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert len([e async for e in client]) == 50
        assert client.close_code == 1000


async def test_a_program_that_raises_is_logged_and_ends_its_session(
    new_server, open_client, caplog
):
    app = new_server()

    @app.spawn
    async def main(session):
        session.upsert @ box()
        raise RuntimeError("XYZZY")

    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as client:
            assert (await client.recv(timeout=60)) == "UPSERT"
            with pytest.raises(ConnectionClosed, match="1011") as info:
                await client.recv(timeout=60)
        assert info.value.code == 1011
        async with open_client(server.uri) as client:  # the server goes on
            assert (await client.recv(timeout=60)) == "UPSERT"
    assert "XYZZY" in caplog.text


async def test_a_handler_that_raises_is_logged_and_the_session_lives(
    new_server, open_client, caplog
):
    app = new_server()

    @app.add_handler("BAD")
    def bad(event, session):
        raise RuntimeError("XYZZY")

    @app.add_handler("GOOD")
    async def good(event, session):
        session.upsert @ box()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("BAD")
        client.send @ event("GOOD")
        assert (await client.recv(timeout=60)) == "UPSERT"
    assert "XYZZY" in caplog.text


async def test_handlers_run_in_order_and_concurrent_ones_at_once(new_server, open_client):
    app, done, gate = new_server(), [], anyio.Event()

    @app.add_handler("N")
    async def in_order(event, session):
        await anyio.sleep(0.01 if event.value % 2 == 0 else 0)
        done.append(event.value)

    @app.add_handler("WAIT", concurrent=True)
    async def waits(event, session):
        await gate.wait()
        done.append("waited")

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("WAIT")
        for n in range(10):
            client.send @ event("N", n)
        await eventually(lambda: len(done) == 10)
        gate.set()
        await eventually(lambda: len(done) == 11)
    assert done == [*range(10), "waited"]


async def test_the_first_concurrent_handler_need_not_wait_for_one_that_runs(
    new_server, open_client
):
    """It may be added only then."""
    app, done, added, gate = new_server(), [], anyio.Event(), anyio.Event()

    @app.add_handler("SLOW")
    async def slow(event, session):
        @app.add_handler("QUICK", concurrent=True)
        async def quick(event, session):
            await anyio.lowlevel.checkpoint()
            done.append(event.value)
            if len(done) == 70:  # more than run at a time
                gate.set()

        added.set()
        await gate.wait()
        done.append("slow")

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("SLOW")
        with anyio.fail_after(60):
            await added.wait()  # an event before it is for no handler
        for n in range(70):
            client.send @ event("QUICK", n)
        await eventually(lambda: len(done) == 71)
    assert sorted(done[:-1]) == list(range(70))


async def test_once_and_cleanup(new_server, open_client):
    app, seen = new_server(), []
    app.add_handler("N", lambda event, session: seen.append(("once", event.value)), once=True)
    cleanup = app.add_handler("N", lambda event, session: seen.append(("all", event.value)))
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("N", 1)
        client.send @ event("N", 2)
        await eventually(lambda: len(seen) == 3)
        cleanup()
        cleanup()
        client.send @ event("N", 3)
        await client.flush(timeout=60)
    assert seen == [("once", 1), ("all", 1), ("all", 2)]


async def test_a_handler_may_wait_for_a_reply_or_an_event(new_server, open_client):
    app, seen = new_server(), []

    @app.add_handler("ASK")
    async def ask(event, session):
        seen.append((await session.grab_render(ttl=5, quality=0.5)).value)
        seen.append((await session.till("LATER", timeout=60)).value)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:

        @client.answer("GRAB_RENDER")
        async def render(request):
            assert request.data["quality"] == 0.5
            client.send @ event("LATER", "later")
            return {"frame": b"jpeg"}

        client.send @ event("ASK")
        await eventually(lambda: seen)
        client.send @ event("LATER", "and again")
        await eventually(lambda: len(seen) == 2)
    assert seen[0] == {"frame": b"jpeg"}
    assert seen[1] in ("later", "and again")


async def test_a_reply_is_found_behind_full_queues(new_server, open_client):
    """The reader stops for a full queue of handlers, but not while a handler waits for a reply."""
    app, seen = new_server(inbox=Fifo(4)), []

    @app.add_handler("N")
    async def on_n(event, session):
        if event.value == 0:
            reply = await session.rpc(ServerRPC(None, etype="ASK"), ttl=5)
            seen.append(reply.value)
        seen.append(event.value)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        for n in range(100):
            client.send @ event("N", n)
        request = await client.recv(timeout=60)
        for n in range(100, 200):
            client.send @ event("N", n)
        client.send @ ClientEvent(etype=request.rtype, value="reply")
        await eventually(lambda: len(seen) == 201)
    assert seen == ["reply", *range(200)]


async def test_a_server_that_never_receives_does_not_stall(new_server, open_client):
    app, last = new_server(), []
    app.add_handler("LAST", lambda event, session: last.append(event))
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        for n in range(5_000):
            await client.send(event("CAMERA_MOVE", n))
        client.send @ event("LAST")
        await eventually(lambda: last)


async def test_receiving(new_server, open_client):
    app, seen = new_server(), []

    @app.spawn
    async def main(session):
        assert await session.recv() == "INIT"
        assert session.client_info["client"] == "python"
        assert (await session.till("INIT")).value is session.client_info
        with pytest.raises(RecvTimeout):
            await session.recv(timeout=0.01)
        session @ Noop()
        async for received in session:
            seen.append(received.value)
        seen.append("end")

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.recv(timeout=60)
        for n in range(500):
            client.send @ event("N", n)
        await client.aclose()
        await eventually(lambda: seen and seen[-1] == "end")
    assert seen == [*range(500), "end"]


async def test_events_replies_and_waiting_are_of_one_session(new_server, open_client):
    app, got, replies = new_server(), [], []

    @app.add_handler("ASK")
    async def ask(event, session):
        replies.append((await session.rpc(ServerRPC(None, etype="RPC"), ttl=0.2)).value)

    @app.add_handler("TILL")
    async def till(event, session):
        session @ Noop()
        got.append((await session.till("X", timeout=60)).value)

    async with (
        open_vuer_server(app) as server,
        open_client(server.uri) as a,
        open_client(server.uri) as b,
    ):
        a.send @ event("TILL")
        assert await a.recv(timeout=60) == "NOOP"
        b.send @ event("X", "of b")
        await b.flush(timeout=60)
        a.send @ event("X", "of a")
        await eventually(lambda: got == ["of a"])
        a.send @ event("ASK")
        request = await a.recv(timeout=60)
        b.send @ ClientEvent(etype=request.rtype, value="forged")
        await b.flush(timeout=60)
        a.send @ ClientEvent(etype=request.rtype, value="mine")
        await eventually(lambda: replies == ["mine"])


async def test_nothing_of_a_request_stays_behind(new_server, open_client):
    app, session = new_server(), []
    app.add_handler("HERE", lambda event, s: session.append(s))
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("HERE")
        await eventually(lambda: session)
        for _ in range(20):
            with pytest.raises(CallTimeout, match=r"has not answered GRAB_RENDER within 0\.001 s"):
                await session[0].grab_render(ttl=0.001)
            with pytest.raises(CallTimeout, match="no X from"):
                await session[0].till("X", timeout=0.001)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session[0].grab_render)
            tasks.start_soon(session[0].till, "X")
            await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        waiting = session[0]._dispatcher.waiting
        assert (waiting.count, len(waiting._replies), waiting._tills) == (0, 0, {})
    with pytest.raises((ConnectionClosed, ClientClosed)):
        await session[0].grab_render()
    with pytest.raises((ConnectionClosed, ClientClosed)):
        await session[0].till("X")
    with pytest.raises((ConnectionClosed, ClientClosed)):
        session[0].upsert @ box()
    with pytest.raises((ConnectionClosed, ClientClosed)):
        await session[0].forever()


@pytest.mark.parametrize("how", ["close", "cut"])
async def test_everything_a_session_started_ends_with_it(new_server, open_client, how):
    app, ended, began = new_server(), [], []

    async def task(name):
        began.append(name)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(name)

    async def started(name, *, task_status):
        task_status.started(name)
        await task(name)

    @app.add_handler("HANDLER")
    async def handler(event, session):
        await task("handler")

    @app.spawn
    async def main(session):
        session.start_soon(task, "soon")
        assert await session.start(started, "start") == "start"
        session.spawn_task(task, "spawned")
        session.spawn_task(task("coroutine"))
        await task("main")

    async with open_vuer_server(app) as server:
        before = task_count()
        async with open_client(server.uri) as client:
            client.send @ event("HANDLER")
            await eventually(lambda: len(began) == 6)
            if how == "cut":
                stream = client._connection._link.transport._stream
                while isinstance(stream, StreamLayer):  # with --lag
                    stream = stream._stream
                if hasattr(stream, "_sock"):
                    stream._sock.shutdown(socket.SHUT_RDWR)
                else:
                    stream._transport.abort()
                with pytest.raises(ConnectionClosed):
                    await client.recv(timeout=60)
        await eventually(lambda: not app.sessions)
        await eventually(lambda: task_count() <= before)
    assert sorted(ended) == sorted(began)
    assert len(ended) == 6


async def test_a_spawned_task_can_be_cancelled_by_itself(new_server, open_client, caplog):
    app, tasks = new_server(), []

    async def fails():
        raise RuntimeError("XYZZY")

    @app.spawn
    async def main(session):
        tasks.append(session.spawn_task(anyio.sleep_forever))
        tasks[0].cancel()
        tasks[0].cancel()
        await tasks[0].wait()
        await session.spawn_task(fails).wait()
        never_begun = session.spawn_task(anyio.sleep(100))
        never_begun.cancel()
        await never_begun.wait()
        with pytest.raises(TypeError, match="must be an async function"):
            session.spawn_task(5)
        session @ Noop()
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert await client.recv(timeout=60) == "NOOP"
    assert tasks[0].done()
    assert "XYZZY" in caplog.text


async def test_what_start_raises(new_server, open_client, caplog):
    app, seen = new_server(), []

    async def before(*, task_status):
        raise KeyError("before")

    async def after(*, task_status):
        task_status.started()
        raise KeyError("after")

    @app.spawn
    async def main(session):
        with pytest.raises(KeyError, match="before"):
            await session.start(before)
        seen.append("lives")
        await session.start(after)
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        with pytest.raises(ConnectionClosed, match="1011"):
            await client.recv(timeout=60)
    assert seen == ["lives"]
    assert "after" in caplog.text


async def test_closing_from_a_handler(new_server, open_client):
    app, seen = new_server(), []

    @app.add_handler("BYE")
    async def bye(event, session):
        session.upsert @ box()
        try:
            await session.aclose(4000, "as you wish")
            await anyio.lowlevel.checkpoint()
            seen.append("not cancelled")
        finally:
            seen.append("ended")

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("BYE")
        assert await client.recv(timeout=60) == "UPSERT"
        with pytest.raises(ConnectionClosed, match="as you wish") as info:
            await client.recv(timeout=60)
        await eventually(lambda: not app.sessions)
    assert info.value.code == 4000
    assert seen == ["ended"]


async def test_cancelling_the_scope_ends_the_session_in_order(new_server, open_client):
    app = new_server()

    @app.add_handler("BYE")
    async def bye(event, session):
        session.upsert @ box()
        session.cancel_scope.cancel()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("BYE")
        assert [e.etype async for e in client] == ["UPSERT"]
    assert client.close_code == 1000


async def test_leaving_the_server_closes_sessions_with_1001(new_server, open_client):
    app, states = new_server(), []

    @app.spawn
    async def main(session):
        session.set @ DefaultScene()
        try:
            await session.forever()
        finally:
            states.append("cancelled")

    async with Outliving(open_client) as clients:
        async with open_vuer_server(app) as server:
            await clients.open(server.uri, 3)
        for client in clients.all:
            assert await client.recv(timeout=60) == "SET"
            with pytest.raises(StopAsyncIteration):
                await anext(client)
            assert client.close_code == 1001
    assert states == ["cancelled"] * 3


class Outliving:
    """Clients that outlive the server's block."""

    def __init__(self, open_client):
        self.open_client = open_client
        self.all = []

    async def open(self, uri, count):
        for _ in range(count):
            client = self.open_client(uri)
            await client.connect()
            self.all.append(client)
        await anyio.sleep(0.05)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        for client in self.all:
            await client.aclose()


async def test_binding(new_server, open_client):
    app, heard = new_server(), []
    app.add_handler("HELLO", lambda event, session: heard.append(event.value))

    @app.bind
    async def stream(session):
        yield Set(DefaultScene())
        n = 0
        while True:
            n += 1
            yield Frame(Update(box(n=n)), frame_rate=200)
            if heard:
                return

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert await client.recv(timeout=60) == "SET"
        for n in range(1, 6):
            assert (await client.recv(timeout=60)).data["nodes"][0]["n"] == n
        client.send @ event("HELLO", "hello")
        async for _ in client:
            pass
    assert heard == ["hello"]
    assert client.close_code == 1000


async def test_binding_what_yields_nothing(new_server, open_client, caplog):
    app = new_server()

    async def stream(session):
        pass

    with pytest.raises(TypeError, match="bind: stream must be an async generator function"):
        app.bind(stream)

    @app.bind
    def unknowable_stream(session):
        return stream(session)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        with pytest.raises(ConnectionClosed, match="1011"):
            await client.recv(timeout=60)
    assert "bind an async generator function" in caplog.text


async def test_programs_by_what_the_client_tells(new_server, open_client):
    app = new_server()

    @app.spawn(client="brow*")
    async def for_browsers(session):
        session @ ServerEvent("browser", etype="X")

    @app.spawn(client="py*", pythonVersion="3.*")
    async def for_python(session):
        session @ ServerEvent("python", etype="X")

    @app.spawn
    async def for_others(session):
        session @ ServerEvent("other", etype="X")

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert (await client.recv(timeout=60)).data == "python"


@pytest.mark.parametrize("how", ["spawn", "till", "bind"])
@pytest.mark.parametrize("concurrent", [False, True])
async def test_what_the_program_does_first_comes_before_what_handlers_do(
    new_server, open_client, how, concurrent
):
    app = new_server()

    @app.add_handler("NOW", concurrent=concurrent)
    async def now(event, session):
        session.upsert @ box()

    app.add_handler("INIT", now)
    if how == "bind":

        @app.bind
        async def stream(session):
            yield Frame(Set(DefaultScene()))
            await session.forever()

    else:

        @app.spawn
        async def main(session):
            if how == "till":
                await session.till("INIT")
            session.set @ DefaultScene()
            await session.forever()

    async with open_vuer_server(app) as server:
        for _ in range(20):
            async with open_client(server.uri) as client:
                client.send @ event("NOW")
                got = [(await client.recv(timeout=60)).etype for _ in range(3)]
                assert got == ["SET", "UPSERT", "UPSERT"]


async def test_handlers_run_where_no_program_matches_or_begins(new_server, open_client):
    app, seen = new_server(), []
    app.add_handler("N", lambda event, session: seen.append(event.value))

    @app.spawn(client="browser")
    async def main(session):
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("N", 1)
        await eventually(lambda: seen == [1])


async def test_a_frame_is_not_for_sending(new_server, open_client):
    app = new_server()

    @app.spawn
    async def main(session):
        with pytest.raises(TypeError, match="a Frame is for a `bind` function"):
            session @ Frame(Noop())
        session @ Noop()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert await client.recv(timeout=60) == "NOOP"


async def test_broadcast(new_server, open_client):
    app = new_server()
    async with (
        open_vuer_server(app) as server,
        open_client(server.uri) as a,
        open_client(server.uri) as b,
    ):
        app.broadcast.upsert @ box(n=1)
        app.broadcast @ Noop()
        await app.broadcast.send(Upsert(box(n=2)))
        for client in (a, b):
            assert (await client.recv(timeout=60)).data["nodes"][0]["n"] == 1
            assert await client.recv(timeout=60) == "NOOP"
            assert (await client.recv(timeout=60)).data["nodes"][0]["n"] == 2
    app.broadcast.upsert @ box()  # to nobody


async def test_a_full_session_does_not_keep_a_broadcast_from_the_others(
    new_server, open_client, caplog
):
    """It is skipped, counted and logged once; the caller and the others notice nothing."""
    app = new_server(outbox=Fifo(2))
    async with (
        open_vuer_server(app) as server,
        open_client(server.uri) as a,
        open_client(server.uri) as b,
    ):
        first, _ = app.sessions
        first @ Noop()
        first @ Noop()
        app.broadcast.upsert @ box(n=1)
        app.broadcast.upsert @ box(n=2)
        assert [session.statistics().skipped for session in app.sessions] == [2, 0]
        assert caplog.text.count(f"{first.peer} reads too slowly, and broadcasts leave it out") == 1
        assert [(await a.recv(timeout=60)).etype for _ in range(2)] == ["NOOP", "NOOP"]
        await app.broadcast.send(Upsert(box(n=3)))
        assert (await a.recv(timeout=60)).data["nodes"][0]["n"] == 3
        seen = [(await b.recv(timeout=60)).data["nodes"][0]["n"] for _ in range(3)]
        assert seen == [1, 2, 3]


async def test_a_broadcast_keeps_to_the_policy_of_the_outbox(new_server, open_client):
    app = new_server(outbox=Latest())
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await eventually(lambda: app.sessions)
        for n in range(5):
            app.broadcast.upsert @ box(n=n)
        app.broadcast @ Noop()
        assert (await client.recv(timeout=60)).data["nodes"][0]["n"] == 4
        assert await client.recv(timeout=60) == "NOOP"
        assert client.statistics().received == 2


async def test_a_broadcast_that_never_waits_for_room_lets_others_run(new_server, open_client):
    app, turns = new_server(), []

    async def ticks():
        while True:
            turns.append(None)
            await anyio.lowlevel.checkpoint()

    room = Fifo(20_000)
    async with open_vuer_server(app) as server, open_client(server.uri, inbox=room) as client:
        await eventually(lambda: app.sessions)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ticks)
            await anyio.lowlevel.checkpoint()
            before = len(turns)
            for n in range(2_000):
                await app.broadcast.send(Upsert(box(n=n)))
            assert len(turns) - before > 10
            tasks.cancel_scope.cancel()
        with anyio.CancelScope() as scope:
            scope.cancel()
            for n in range(2_000, 12_000):  # the first that yields is cancelled, and sends nothing
                await app.broadcast.send(Upsert(box(n=n)))
        assert scope.cancelled_caught
        app.broadcast @ Noop()
        got = [e.data["nodes"][0]["n"] async for e in until_noop(client)]
    assert got == list(range(got[-1] + 1))
    assert 1_999 <= got[-1] < 11_999


@pytest.mark.slow
async def test_a_broadcast_goes_on_while_sessions_come_and_go(new_server, open_client, caplog):
    app = new_server()

    async def stream():
        for n in range(1_000):
            await app.broadcast.send(Upsert(box(n=n)))
            if n % 10 == 0:
                await anyio.lowlevel.checkpoint()
        app.broadcast @ Noop()

    async def visits():
        while True:
            async with open_client(server.uri) as visitor:
                await visitor.recv(timeout=60)

    room = Fifo(20_000)
    async with open_vuer_server(app) as server, open_client(server.uri, inbox=room) as client:
        await eventually(lambda: app.sessions)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(visits)
            await eventually(lambda: len(app.sessions) == 4)
            await stream()
            got = [e.data["nodes"][0]["n"] async for e in until_noop(client)]
            tasks.cancel_scope.cancel()
        await eventually(lambda: len(app.sessions) == 1)
    assert got == list(range(1_000))
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def until_noop(client):
    while (event := await client.recv(timeout=60)) != "NOOP":
        yield event


async def test_too_many_sessions(new_server, open_client, caplog):
    app = new_server(max_sessions=1)
    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as first:
            await first.flush(timeout=60)  # its INIT has been read
            with pytest.raises(ConnectionFailed, match="503"):
                async with open_client(server.uri):
                    pass
        await eventually(lambda: not app.sessions)
        await anyio.sleep(0.01)
        async with open_client(server.uri):
            pass
    assert "max_sessions=" in caplog.text


async def test_pages_of_strangers(new_server, open_client, caplog):
    app = new_server()
    async with open_vuer_server(app) as server:
        with pytest.raises(ConnectionFailed, match="403"):
            async with open_client(server.uri, origin="http://evil.example"):
                pass
        async with open_client(server.uri, origin="https://vuer.ai"):
            pass
    assert "origins=" in caplog.text


async def test_a_port_in_use_says_so(new_server):
    app, other = new_server(), new_server()
    async with open_vuer_server(app) as server:
        with pytest.raises(OSError, match=r"(?i)in use"):
            async with open_vuer_server(other, port=server.port):
                pass
        with pytest.raises(RuntimeError, match="is already serving"):
            async with open_vuer_server(app):
                pass


async def test_the_exception_of_the_block_is_its_own(new_server):
    app = new_server()
    with pytest.raises(KeyError, match="mine"):
        async with open_vuer_server(app):
            raise KeyError("mine")


async def test_a_message_over_max_size(new_server, open_client):
    app = new_server(max_size=1000)
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("X", b"x" * 2000)
        with pytest.raises(ConnectionClosed) as info:
            await client.recv(timeout=60)
        assert info.value.code == 1009
        await eventually(lambda: not app.sessions)


async def test_start_inside_a_loop_says_what_to_do(new_server):
    with pytest.raises(RuntimeError, match=r"await app.serve\(\)"):
        new_server().start()


async def test_the_log_tells_where(new_server, caplog):
    caplog.set_level(logging.INFO, "vuer_trio.server")
    async with open_vuer_server(new_server()) as server:
        assert server.uri in caplog.text
        assert server.uri == f"ws://localhost:{server.port}"
