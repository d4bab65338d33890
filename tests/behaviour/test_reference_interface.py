"""What programs written for the reference use of an app and of a session."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import time
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest

from tests.behaviour.raw_client import eventually, raw
from tests.resource_counts import task_count
from vuer_trio import ConnectionFailed, EncodeError, OutboxFull, open_vuer_server
from vuer_trio._connection.policies import DropOldest, Fifo, Latest
from vuer_trio.events import NOOP, ClientEvent, Frame, GrabRender, ServerEvent, Set, Update
from vuer_trio.schemas import Box, DefaultScene, Scene
from vuer_trio.server import session_runner

pytestmark = pytest.mark.anyio


def event(etype, value=None, **more):
    return ClientEvent(etype=etype, value=value, **more)


async def fetch(server, path, method="GET", body=None, **headers):
    """Status, headers and body."""

    def ask():
        asked = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        asked.request(method, path, body, headers)
        answer = asked.getresponse()
        try:
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            asked.close()

    return await anyio.to_thread.run_sync(ask)


# ---- sessions by their ids


async def test_sessions_by_their_ids(new_server, open_client):
    app, seen = new_server(), []

    @app.spawn
    async def main(session):
        assert session.vuer is app
        seen.append(session.CURRENT_WS_ID)
        await session.forever()

    async with open_vuer_server(app) as server:
        assert dict(app.ws) == {}
        async with open_client(server.uri) as a, open_client(server.uri) as b:
            await eventually(lambda: len(seen) == 2)
            assert set(app.ws) == set(seen)
            assert {type(ws_id) for ws_id in seen} == {UUID}
            for ws_id in app.ws:
                assert app.ws[ws_id].CURRENT_WS_ID is ws_id
                await app.send(ws_id, event=Set(Scene()))
                await app.send(ws_id, event_bytes=b"\x82\xa5etype\xa3OWN\xa4data\x07")
            for client in (a, b):
                assert await client.recv(timeout=60) == "SET"
                assert (await client.recv(timeout=60)).data == 7
        await eventually(lambda: not app.ws)
        with pytest.raises(KeyError):
            await app.send(seen[0], Set(Scene()))
        with pytest.raises(KeyError):
            await app.rpc(seen[0], GrabRender())
    for given in ({}, {"event": NOOP, "event_bytes": b""}):
        with pytest.raises(TypeError, match="takes an event or event_bytes"):
            await app.send(seen[0], **given)


async def test_a_request_to_an_id(new_server, open_client):
    app = new_server()
    async with open_vuer_server(app) as server:
        client = open_client(server.uri)
        client.answer("GRAB_RENDER", lambda event: {"frame": b"x"})
        async with client:
            await eventually(lambda: app.ws)
            (ws_id,) = app.ws
            assert (await app.rpc(ws_id, GrabRender(), ttl=5)).value == {"frame": b"x"}


# ---- send without await


def note(value):
    return ServerEvent(value, etype="NOTE")


async def test_a_send_that_nobody_awaits(new_server, open_client):
    app = new_server()

    @app.spawn
    async def main(session):
        session.send(note(1))
        session @ note(2)
        await session.send(note(3))
        session.send(note(4))
        [session.send(note(n)) for n in (5, 6, 7)]
        kept = session.send(note(8))
        session.send(note(9))
        session @ note(10)
        await kept  # it has been sent
        with pytest.raises(EncodeError):
            session.send(note(object()))
        session.send(note(0)).close()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.send, note(11))
        session.send(note(12))

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert [event.data async for event in client] == list(range(1, 13))


async def test_a_kept_send_is_sent_when_it_is_awaited(new_server, open_client):
    app = new_server()

    @app.spawn
    async def main(session):
        first, second = session.send(note(1)), session.send(note(2))
        session @ note(0)
        with anyio.CancelScope() as scope:
            scope.cancel()
            cancelled = session.send(note(9))
            await anyio.lowlevel.checkpoint()
        del cancelled  # in its turn: those that were called before it go first
        await second
        await first

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert [event.data async for event in client] == [0, 1, 2, 9]


async def test_a_cancelled_send_has_not_been_sent(new_server, open_client):
    app, sent = new_server(), []

    @app.spawn
    async def main(session):
        for n in range(200):
            with anyio.CancelScope() as scope:
                scope.cancel()
                if n % 2:
                    time.sleep(0.0003)  # noqa: ASYNC251 - it is to yield to others
                await session.send(note(n))
                sent.append(n)
                await anyio.lowlevel.checkpoint()
            assert scope.cancelled_caught

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert [event.data async for event in client] == sent
    assert len(sent) <= 100


async def test_what_a_send_that_nobody_awaits_loses_is_logged(new_server, open_client, caplog):
    app = new_server(outbox=Fifo(1))
    kept = []

    @app.spawn
    async def main(session):
        kept.append(session)
        for n in range(40):
            session.send(note(n))

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert [event.data async for event in client] == [0]
    kept[0].send(note(99))
    lost = [r.getMessage() for r in caplog.records if "has lost its event" in r.getMessage()]
    assert len(lost) == 20  # and the rest is not said
    assert "the outbox of" in lost[0]
    assert "is full: 1 of 1 messages" in lost[0]


async def test_a_send_from_another_thread_is_refused(new_server, open_client):
    app, said = new_server(), []

    @app.spawn
    async def main(session):
        with pytest.raises(RuntimeError, match="another thread") as refused:
            await anyio.to_thread.run_sync(session.send, note(1))
        said.append(refused.value)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert [event async for event in client] == []
    assert said


# ---- what waits, without waiting


@pytest.mark.parametrize("inbox", [Fifo(4), DropOldest(4), Latest(key=lambda item: item.value)])
async def test_events_that_wait(new_server, open_client, inbox):
    app, open_ones = new_server(inbox=inbox), []
    app.spawn(lambda session: open_ones.append(session) or session.forever())
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await eventually(lambda: open_ones)
        (session,) = open_ones
        assert session.popleft() == "INIT"
        assert session.popleft() is session.pop() is None
        assert list(session.stream()) == []
        for n in range(4):
            client.send @ event("N", n)
        await client.flush(timeout=60)
        assert [item.value for item in session.stream()] == [0, 1, 2, 3]
        assert (session.popleft().value, session.pop().value) == (0, 3)
        session.clear()
        assert session.pop() is None
        assert session.statistics().inbox_bytes == 0
        for n in range(10):  # it goes on reading
            client.send @ event("N", n)
        await client.flush(timeout=60)
        assert session.pop().value == 9
    await eventually(lambda: not app.sessions)
    session.clear()
    assert session.popleft() is None


# ---- routes


async def test_routes(new_server):
    app, posted = new_server(), []

    async def status():
        await anyio.lowlevel.checkpoint()
        return {"ok": True}

    def fails():
        raise ValueError("secret")

    app.add_route("/hello", lambda: "Grüße")
    app.add_route("status", status)
    app.add_route("/status", lambda: posted.append(1), method="post")
    app.add_route("/raw", lambda: b"\x00\x01", content_type="image/png")
    app.add_route("/text", lambda: "a", content_type="text/plain")
    app.add_route("/fails", fails)
    app.add_route("/odd", lambda: 5)
    async with open_vuer_server(app) as server:
        code, headers, body = await fetch(server, "/hello?a=b")
        assert (code, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert body.decode() == "Grüße"
        code, headers, body = await fetch(server, "/status")
        assert (code, json.loads(body)) == (200, {"ok": True})
        assert headers["content-type"] == "application/json"
        assert (await fetch(server, "/status", "POST"))[0] == 200
        assert posted == [1]
        code, headers, body = await fetch(server, "/raw")
        assert (code, headers["content-type"], body) == (200, "image/png", b"\x00\x01")
        code, headers, body = await fetch(server, "/hello", "HEAD")
        assert (code, headers["content-length"], body) == (200, "7", b"")
        code, headers, _ = await fetch(server, "/status", "DELETE")
        assert (code, headers["allow"]) == (405, "GET, POST")
        for path in ("/fails", "/odd"):
            code, _, body = await fetch(server, path)
            assert (code, b"secret" in body) == (500, False)
        page = {"Origin": "https://vuer.ai"}
        assert (await fetch(server, "/text", **page))[1]["access-control-allow-origin"] == (
            "https://vuer.ai"
        )
        assert (await fetch(server, "/text", Origin="http://evil.test"))[0] == 403
        assert (await fetch(server, "/elsewhere"))[0] == 404


async def test_a_request_that_is_too_large_for_a_route(new_server):
    app, seen = new_server(REQUEST_MAX_SIZE=100), []
    app.add_route("/", lambda: "a", method="POST")
    app.add_route("/body", lambda request: seen.append(request.body), method="POST")
    async with open_vuer_server(app) as server:
        assert (await fetch(server, "/", "POST", **{"Content-Length": "101"}))[0] == 413
        for size, status in ((100, 200), (101, 413)):
            # in chunks, so that no header says how much it is
            assert (await fetch(server, "/body", "POST", iter([b"x" * size])))[0] == status
    assert seen == [b"x" * 100]


async def test_what_a_route_is_asked_with(new_server):
    app = new_server()

    async def show(request):
        assert await request.read() == request.body
        sent = await request.json() if request.body else None
        return [request.method, request.path, request.query, request.headers["x"], sent]

    app.add_route("/ask", show)
    app.add_route("/ask", show, method="POST")
    app.add_route("/sync", lambda request: request.body, method="PUT")
    async with open_vuer_server(app) as server:
        body = (await fetch(server, "/%61sk?b=1&b=2", X="1"))[2]
        assert json.loads(body) == ["GET", "/ask", {"b": "1"}, "1", None]
        body = (await fetch(server, "/ask", "POST", b'{"a": [1]}', X="1"))[2]
        assert json.loads(body) == ["POST", "/ask", {}, "1", {"a": [1]}]
        assert (await fetch(server, "/sync", "PUT", b"\x00" * 100_000))[2] == bytes(100_000)


async def test_a_body_that_is_none(new_server):
    app, called = new_server(), []
    app.add_route("/", called.append, method="POST")
    async with open_vuer_server(app) as server, raw(server.port) as client:
        await client.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n"
        )
        await client.read_to_the_end()
        assert b"400 Bad Request" in client.received
    assert not called


async def test_a_route_that_fails_is_logged(new_server, caplog):
    app = new_server()
    app.add_route("/fails", lambda: 1 / 0)
    async with open_vuer_server(app) as server:
        await fetch(server, "/fails")
    (record,) = (r for r in caplog.records if r.levelno == logging.ERROR)
    assert record.getMessage() == "the route /fails failed"
    assert record.exc_info[0] is ZeroDivisionError


# ---- where it listens


async def test_the_next_free_port(new_server, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        app = new_server(host="127.0.0.1", port=port)
        with pytest.raises(OSError, match="in use"):
            async with open_vuer_server(app):
                pass
        app.free_port = True
        async with open_vuer_server(app) as server:
            assert port < server.port <= port + 100
            assert app.port == server.port
        assert app.port == port
    assert f"port {port} is in use, trying the next" in caplog.messages


async def test_attributes_that_were_set_hold(new_server, open_client, tmp_path):
    import trustme

    authority = trustme.CA()
    both = authority.issue_cert("localhost").private_key_and_cert_chain_pem
    both.write_to_path(str(tmp_path / "both.pem"))
    app = new_server()
    app.cert = str(tmp_path / "both.pem")
    async with open_vuer_server(app) as server:
        assert server.uri.startswith("wss://localhost:")
        async with open_client(server.uri, ssl_verify=False) as client:
            await client.flush(timeout=60)


async def test_pages_of_cors_get_in(new_server, open_client):

    app = new_server()
    app.cors = "https://a.example"
    async with open_vuer_server(app) as server:
        for origin in ("https://a.example", "https://vuer.ai", "https://docs.vuer.ai"):
            async with open_client(server.uri, origin=origin) as client:
                await client.flush(timeout=60)
        with pytest.raises(ConnectionFailed):
            async with open_client(server.uri, origin="https://b.example"):
                pass


async def test_a_server_of_all_addresses_tells_one_that_can_be_dialled(new_server, open_client):
    async with open_vuer_server(new_server(host="0.0.0.0")) as server:
        assert server.uri == f"ws://localhost:{server.port}"
        async with open_client(server.uri) as client:
            await client.flush(timeout=60)


# ---- what is sent


async def test_with_queue_len_a_slow_client_gets_the_newest_of_each_plane(new_server, open_client):
    app = new_server(queue_len=3)

    @app.spawn
    async def main(session):
        session.set @ DefaultScene()
        for n in range(500):  # without an await: nothing is written meanwhile
            session.upsert @ Box(key="left", position=[n, 0, 0])
            session.upsert([Box(key="right", position=[n, 0, 0])], to="bgChildren")
        session.add @ Box(key="added")

    async with open_vuer_server(app) as server:
        async with open_client(server.uri, mirror_scene=True) as client:
            received = [event async for event in client]
            assert client.scene.get("left")["position"] == [499, 0, 0]
            assert client.scene.get("right")["position"] == [499, 0, 0]
            assert client.scene.get("added")["tag"] == "Box"
    assert [event.etype for event in received] == ["SET", "UPSERT", "UPSERT", "ADD"]


async def test_with_queue_len_broadcasts_and_sends_replace_each_other(new_server, open_client):
    app = new_server(queue_len=3)
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await eventually(lambda: app.sessions and app.sessions[0].client_info)
        (session,) = app.sessions
        for n in range(20):
            session.upsert @ Box(key="a", position=[n, 0, 0])
            app.broadcast.upsert @ Box(key="a", position=[n, 1, 0])
        moved = await client.recv(timeout=60)
        assert moved.data["nodes"][0]["position"] == [19, 1, 0]
        assert session.statistics().replaced == 39


async def test_a_scene_in_a_list(new_server, open_client):
    app = new_server()

    @app.spawn
    async def main(session):
        session.set @ [DefaultScene(Box(key="box"))]

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert (await client.recv(timeout=60)).data["children"][0]["key"] == "box"


async def test_a_full_outbox_advises_a_call_of_the_session(new_server, open_client):
    app, said = new_server(outbox=Fifo(1)), []

    @app.spawn
    async def main(session):
        session @ Set(Scene())
        with pytest.raises(OutboxFull) as full:
            session @ Set(Scene())
        said.append(str(full.value))

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.wait_closed()
    assert (
        "use `await session.send(event)`, which waits for room, or make the Vuer with a" in said[0]
    )


# ---- bind


async def test_a_bound_generator_gets_the_clients_events_one_by_one(new_server, open_client):
    app, given, handled = new_server(), [], []
    app.add_handler("GO", lambda event, session: handled.append(event.value))

    @app.bind
    async def main(session):
        given.append((yield NOOP).etype)
        yield Set(Scene())
        given.append((yield NOOP).value)
        while True:
            event = yield NOOP
            given.append(event.value)
            if event.value == 2:
                given.append((yield Frame(Update({"key": "a"}), frame_rate=1000)).etype)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        assert await client.recv(timeout=60) == "SET"
        for n in range(4):
            client.send @ event("GO", n)
        assert await client.recv(timeout=60) == "UPDATE"
        await eventually(lambda: 3 in given)
        before = app.sessions[0].statistics().sent
        await anyio.sleep(0.1)
        assert app.sessions[0].statistics().sent == before  # it does not flood
    assert given == ["INIT", 0, 1, 2, "NULL", 3]
    assert handled == [0, 1, 2, 3]


def answering(given):
    yield Frame(Set(Scene()), frame_rate=1000)
    while given[-1:] != [3]:
        event = yield Update({"key": str(len(given))})
        given.append(event.value if event == "GO" else event.etype)


def delegating(given):
    yield from answering(given)


async def asynchronous(given):
    yield Frame(Set(Scene()), frame_rate=1000)
    while given[-1:] != [3]:
        await anyio.lowlevel.checkpoint()
        event = yield Update({"key": str(len(given))})
        given.append(event.value if event == "GO" else event.etype)


@pytest.mark.parametrize("generator", [answering, delegating, asynchronous])
async def test_a_generator_that_looks_at_an_event_for_what_it_sends(
    new_server, open_client, generator
):
    app, given = new_server(), []
    app.bind(lambda session: generator(given))
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        for n in range(4):
            client.send @ event("GO", n)
        sent = [item async for item in client]
    assert given == ["INIT", 0, 1, 2, 3]
    assert [item.etype for item in sent] == ["SET", *["UPDATE"] * 5]
    assert [item.data["nodes"][0]["key"] for item in sent[1:]] == list("01234")


async def test_a_generator_that_does_not_look_goes_on(new_server, open_client):
    app, ended = new_server(), []

    @app.bind
    def main(session):
        try:
            for n in range(3):
                yield Update({"key": str(n)})
            yield NOOP
            yield NOOP  # after INIT
        finally:
            ended.append(True)

    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as client:
            for n in range(3):
                assert (await client.recv(timeout=60)).data["nodes"][0]["key"] == str(n)
            await client.flush(timeout=60)
            assert not ended
        await eventually(lambda: ended == [True])


async def test_what_came_while_frames_were_shown(new_server, open_client):
    app, given = new_server(), []

    @app.bind
    async def main(session):
        yield Frame(Set(Scene()), frame_rate=20)
        while len(given) < 3:
            event = yield NOOP
            given.append(event.etype)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("A")
        client.send @ event("B")
        assert [item.etype async for item in client] == ["SET"]
    assert given == ["INIT", "A", "B"]


async def test_a_bound_generator_that_waits_ends_with_its_client(new_server, open_client):
    app, ended = new_server(), []

    @app.bind
    async def main(session):
        try:
            while True:
                yield NOOP
        finally:
            ended.append(True)

    async with open_vuer_server(app) as server:
        before = task_count()
        async with open_client(server.uri) as client:
            await client.flush(timeout=60)
        await eventually(lambda: ended == [True])
        await eventually(lambda: task_count() <= before)


# ---- what is wrong is said


def other(backend):
    return "trio" if backend.runtime != "trio" else "asyncio"


async def await_the_other(backend):
    if backend.runtime == "trio":
        import asyncio

        await asyncio.sleep(1)
    else:
        import trio

        await trio.sleep(1)


async def test_a_program_that_awaits_the_other_library_is_told(
    new_server, open_client, backend, caplog
):
    app = new_server()

    @app.spawn
    async def main(session):
        await await_the_other(backend)

    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as client:
            await client.wait_closed()
            assert client.close_code == 1011
            running = "trio" if backend.runtime == "trio" else "asyncio"
            assert client.close_reason == (
                f"the server's program awaits {other(backend)}, but backend={running!r} runs it"
            )
    notes = [r.exc_info[1].__notes__ for r in caplog.records if r.exc_info]
    assert [f"use backend={other(backend)!r}" in note for (note,) in notes] == [True]
    assert "no async library" not in caplog.text


async def test_a_handler_and_a_task_that_await_the_other_library(
    new_server, open_client, backend, caplog
):
    app = new_server()

    @app.add_handler("GO")
    async def on_go(event, session):
        await await_the_other(backend)

    @app.spawn
    async def main(session):
        await session.spawn_task(await_the_other, backend, name="mover").wait()
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        client.send @ event("GO")
        await eventually(lambda: len([r for r in caplog.records if r.exc_info]) == 2)
    failures = {r.getMessage(): r.exc_info[1].__notes__ for r in caplog.records if r.exc_info}
    assert failures.keys() == {"the handler of GO raised", "mover raised"}
    for (note,) in failures.values():
        assert f"use backend={other(backend)!r}" in note


async def test_another_failure_has_no_hint(new_server, open_client, caplog):
    app = new_server()

    @app.spawn
    async def main(session):
        raise RuntimeError("of its own")

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.wait_closed()
        assert client.close_reason == "the server's program failed"
    (failure,) = (r.exc_info[1] for r in caplog.records if r.exc_info)
    assert not hasattr(failure, "__notes__")


async def test_a_session_without_init_is_told_of(new_server, caplog, monkeypatch):
    monkeypatch.setattr(session_runner, "_SOON", 0.05)
    app = new_server()

    @app.spawn
    async def main(session):
        await session.forever()

    async with open_vuer_server(app) as server:
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            await stream.send(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await eventually(lambda: any("has sent no INIT for" in m for m in caplog.messages))
            assert len(app.sessions) == 1


@pytest.mark.parametrize("as_it_is", [int, float])
async def test_the_time_of_a_head_move(new_server, open_client, as_it_is):
    """A browser sends it in milliseconds, and other events in seconds."""
    app, seen = new_server(), []
    app.add_handler("HEAD_MOVE", lambda event, session: seen.append(event.ts))
    now = time.time()
    async with open_vuer_server(app) as server, open_client(server.uri) as client:

        class Sent(ClientEvent):
            etype = "HEAD_MOVE"

            def to_wire(self):
                return {"etype": "HEAD_MOVE", "ts": as_it_is(now * 1000), "value": {}}

        client.send @ Sent()
        await eventually(lambda: seen)
    assert seen[0] == pytest.approx(now, abs=0.01)


async def test_names_of_tasks(new_server, open_client, caplog):
    app, names = new_server(), []

    async def fails():
        raise ValueError

    @app.spawn
    async def main(session):
        for task in (session.spawn_task(fails(), name="mover"), session.spawn_task(fails)):
            await task.wait()
            names.append(task.name)

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.wait_closed()
    assert names[0] == "mover"
    assert names[1].endswith("fails")
    assert "mover raised" in caplog.messages
