"""A server's bounds: clients that do not read, do not write, or do nothing but write."""

from __future__ import annotations

import math
import tracemalloc
from contextlib import suppress
from dataclasses import replace

import anyio
import pytest
import trio

from tests.behaviour.memory_server import memory_server
from tests.behaviour.raw_client import PING, PONG, eventually, masked, pack, request, witnessed
from tests.resource_counts import task_count
from vuer_trio import (
    ClientClosed,
    ConnectionClosed,
    EncodeError,
    Fifo,
    OutboxFull,
    Vuer,
    open_vuer_server,
)
from vuer_trio.events import ClientEvent
from vuer_trio.schemas import Element

TRANSPORTS = ["trio-websocket", "websockets", "wsproto"]
MIB = 1 << 20


def box(**props):
    return Element(tag="Box", key="box", **props)


# ---- on every backend


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.anyio
async def test_a_stream_of_camera_moves_that_nobody_receives(new_server, open_client):
    """12,000 with a sync and an async handler, and no `recv`: nothing stalls, nothing grows."""
    app, seen = new_server(), {"sync": 0, "async": 0}
    camera = {"camera": {"position": [0.1, 0.2, 0.3], "matrix": [0.123] * 16}}

    @app.add_handler("CAMERA_MOVE")
    def sync(event, session):
        seen["sync"] += 1

    @app.add_handler("CAMERA_MOVE")
    async def asynchronous(event, session):
        await anyio.lowlevel.checkpoint()
        seen["async"] += 1

    async with witnessed(app, open_client) as both:

        async def stream(count):
            for _ in range(count):
                await both.client.send(ClientEvent(etype="CAMERA_MOVE", value=camera))
            await both.client.flush(timeout=120)

        await stream(1_500)
        await eventually(lambda: seen["async"] == 1_500)
        tracemalloc.start()
        try:
            await stream(2_500)
            before, _ = tracemalloc.get_traced_memory()
            await stream(8_000)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await eventually(lambda: seen == {"sync": 12_000, "async": 12_000})
        session = app.sessions[0]
        assert len(session._connection.inbox.items) == 1024
        assert after - before < 2 * MIB
        await both.echo()


@pytest.mark.anyio
async def test_a_session_that_has_ended_takes_no_tasks(new_server, open_client):
    app, sessions = new_server(), []
    app.add_handler("HERE", lambda event, session: sessions.append(session))

    async def task():
        raise AssertionError("it must not run")

    async with open_vuer_server(app) as server:
        async with open_client(server.uri) as client:
            client.send @ ClientEvent(etype="HERE")
            await eventually(lambda: sessions)
        await eventually(lambda: not server.server.connections)
        (session,) = sessions
        with pytest.raises((ConnectionClosed, ClientClosed)):
            session.start_soon(task)
        with pytest.raises((ConnectionClosed, ClientClosed)):
            await session.start(task)
        with pytest.raises((ConnectionClosed, ClientClosed)):
            session.spawn_task(task)
        with pytest.raises((ConnectionClosed, ClientClosed)):
            session.spawn_task(task())
        session.cancel_scope.cancel()
        await session.aclose()


@pytest.mark.anyio
async def test_what_is_no_event_is_named(new_server, open_client, caplog):
    app = new_server()

    @app.bind
    async def main(session):
        with pytest.raises(EncodeError, match="Expected ServerEvent, got Element"):
            session @ box()
        yield None

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        with pytest.raises(ConnectionClosed, match="1011"):
            await client.recv(timeout=60)
    assert "Expected ServerEvent, got NoneType" in caplog.text


# ---- in virtual time


class Line:
    """A raw client in memory that reads only when it is told to."""

    def __init__(self, stream):
        self.stream = stream
        self.received = b""

    async def handshake(self):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.stream.send_all, request())
            while b"\r\n\r\n" not in self.received:
                self.received += await self.stream.receive_some(65_536)
        assert self.received.startswith(b"HTTP/1.1 101")

    async def read(self, size):
        data = await self.stream.receive_some(size)
        self.received += data
        return data


def lockstep():
    """What is written waits until it is read, as with full buffers."""
    return trio.testing.lockstep_stream_pair()


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_stalled_reader_is_told_at_the_call_and_lost_by_the_heartbeat(
    transport, autojump_clock
):
    before = task_count()
    outbox = Fifo(100, max_bytes=4 * MIB)
    app = Vuer(
        transport=transport,
        outbox=outbox,
        heartbeat=20,
        init_timeout=math.inf,
        stall_timeout=math.inf,
    )
    told, ended = [], []

    @app.add_handler("FLOOD")
    async def flood(event, session):
        sent = 0
        try:
            while True:
                session.upsert @ box(data=b"x" * 20_000)
                sent += 1
                await trio.lowlevel.checkpoint()
        except OutboxFull as exc:
            told.append((sent, str(exc)))
        try:
            await session.forever()
        finally:
            ended.append(trio.current_time())

    async with memory_server(app) as server:
        line = Line(server.connect(lockstep))
        await line.handshake()
        began = trio.current_time()
        await line.stream.send_all(masked(pack("FLOOD")))
        while not told:
            await trio.sleep(0.1)
        ((sent, message),) = told
        session = app.sessions[0]
        assert 100 <= sent <= 100 + 2 + 524_288 // 20_000  # and a batch that is being written
        assert "100 of 100 messages" in message
        assert sum(map(len, session._connection.outbox.items)) <= 4 * MIB
        while server.serving.server.connections:
            await trio.sleep(1)
        assert 40 <= ended[0] - began <= 45
        with pytest.raises(ConnectionClosed, match="no sign of life"):
            session.upsert @ box()
        server.scope.cancel()
        await server.ended.wait()
    assert task_count() == before


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_of_pings_whose_answers_are_not_read_the_newest_is_answered(
    transport, autojump_clock
):
    """That answers for all of them (RFC 6455 §5.5.3); what waits is bounded."""
    async with memory_server(Vuer(transport=transport, heartbeat=20)) as server:
        line = Line(server.connect(lockstep))
        await line.handshake()
        line.received = b""
        for _ in range(20):
            await line.stream.send_all(masked(b"x" * 125, PING) * 500)
        await line.stream.send_all(masked(b"the newest", PING))
        with trio.move_on_after(5):
            while True:
                await line.read(65_536)
        assert line.received.endswith(b"\x8a\x0athe newest")
        answers = line.received.count(b"\x8a")
        assert 2 <= answers <= 2100, "what was being written, and as much again"
        session = server.app.sessions[0]
        session.upsert @ box()
        assert b"UPSERT" in await line.read(1000)


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_half_open_connection_ends(transport, autojump_clock):
    app = Vuer(transport=transport, heartbeat=20, init_timeout=math.inf)
    async with memory_server(app) as server:
        line = Line(server.connect())
        await line.handshake()
        began = trio.current_time()
        await trio.sleep(39)
        assert len(app.sessions) == 1
        while server.serving.server.connections:
            await trio.sleep(0.1)
        assert 40 <= trio.current_time() - began <= 42


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_each_silent_session_is_asked_for_itself(transport, autojump_clock):
    """Whoever answers lives on; a silent one is asked 20 s after it was heard, and lost 20 s later.

    A single task of the server's sees to it: an idle session has none for its heartbeat.
    """
    asked, lost = {}, {}
    app = Vuer(transport=transport, heartbeat=20, init_timeout=math.inf)

    async def enter(name, answers):
        line = Line(server.connect())
        await line.handshake()
        began = trio.current_time()
        asked[name] = []
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await line.stream.receive_some():
                if data.startswith(b"\x89"):
                    asked[name].append(trio.current_time() - began)
                    if answers:
                        await line.stream.send_all(masked(data[2:], PONG))
        lost[name] = trio.current_time() - began

    async with memory_server(app) as server, trio.open_nursery() as nursery:
        nursery.start_soon(enter, "answers", True)
        await trio.sleep(3)
        nursery.start_soon(enter, "silent", False)
        await trio.sleep(7)
        before = task_count()
        nursery.start_soon(enter, "late", False)
        await trio.sleep(5)
        assert len(app.sessions) == 3
        if transport != "trio-websocket":  # which has some of its own
            # its client, what accepted it, its connection, its writer, its handlers
            assert task_count() - before <= 5
        await trio.sleep(190)
        [session] = app.sessions
        assert session.statistics().rtt is not None
        nursery.cancel_scope.cancel()
    for name in ("silent", "late"):
        assert asked[name] == [pytest.approx(20, abs=20 / 64)]
        assert lost[name] == pytest.approx(40, abs=1)
    assert asked["answers"] == [pytest.approx(20 * n, abs=n * 20 / 64) for n in range(1, 11)]


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_that_goes_while_nothing_is_read_is_found_out(transport, autojump_clock):
    """A full queue of handlers has stopped the reader; the heartbeat's pings meet the end."""
    app = Vuer(transport=transport, heartbeat=20, inbox=Fifo(4), init_timeout=math.inf)
    ended = []

    @app.add_handler("STUCK")
    async def stuck(event, session):
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with memory_server(app) as server:
        line = Line(server.connect())
        await line.handshake()
        await line.stream.send_all(masked(pack("STUCK")) * 100)
        await trio.sleep(100)
        (session,) = app.sessions
        assert session._connection.stopped
        assert session.connected, "a server that does not read cannot blame its client"
        began = trio.current_time()
        await line.stream.aclose()
        while server.serving.server.connections:
            await trio.sleep(0.1)
        assert ended[0] - began <= 2 * 20 + 5


async def at_once(fn, *args):
    return fn(*args)


@pytest.mark.trio
async def test_a_page_may_be_read_slowly_but_not_never(autojump_clock, tmp_path):
    content = bytes(range(256)) * 12_000
    (tmp_path / "index.html").write_bytes(content)
    async with memory_server(Vuer(client_root=tmp_path, handshake_timeout=10)) as server:
        # Virtual time does not wait for a thread.
        server.serving._pages.files._rt = replace(server.rt, run_in_thread=at_once)
        slow, stuck = Line(server.connect(lockstep)), Line(server.connect(lockstep))
        for line in (slow, stuck):
            await line.stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        began = trio.current_time()
        await stuck.read(20_000)
        while await slow.read(20_000):
            await trio.sleep(2)
        assert trio.current_time() - began > 300
        assert slow.received.endswith(content)
        while await stuck.read(20_000):
            pass
        assert len(stuck.received) < 200_000


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_slow_loris_has_the_time_of_a_handshake(transport, autojump_clock):
    app = Vuer(transport=transport, handshake_timeout=10)
    async with memory_server(app) as server:
        stream = server.connect()
        began = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            for byte in request():
                await stream.send_all(bytes([byte]))
                await trio.sleep(1)
        assert 10 <= trio.current_time() - began <= 12
        assert server.serving.server.connections == {}


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_slow_reader_does_not_keep_a_server_that_ends(transport, autojump_clock):
    """Neither while its program runs, nor when that has returned and its messages go out."""
    for returns in (False, True):
        app = Vuer(transport=transport, close_timeout=2, init_timeout=math.inf)

        @app.bind
        async def main(session, returns=returns):
            for _ in range(50):
                session.upsert @ box(data=b"x" * MIB)
            if not returns:
                await session.forever()
            return
            yield

        async with memory_server(app) as server, trio.open_nursery() as nursery:
            line = Line(server.connect(lockstep))
            await line.handshake()

            async def trickle(line=line):
                while await line.read(400_000):
                    await trio.sleep(1)

            nursery.start_soon(trickle)
            await trio.sleep(30)
            assert len(server.serving.server.connections) == 1
            began = trio.current_time()
            server.scope.cancel()
            await server.ended.wait()
            assert trio.current_time() - began <= 2 + 1 + 1.5
            nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_that_does_not_take_its_handshake_does_not_keep_a_server(
    transport, autojump_clock
):
    patient = {"handshake_timeout": 500, "init_timeout": math.inf}
    app = Vuer(transport=transport, close_timeout=2, **patient)
    async with memory_server(app) as server:
        stream = server.connect(lockstep)
        await stream.send_all(request())
        await trio.sleep(30)
        assert (len(server.serving.server.connections), app.sessions) == (1, ())
        began = trio.current_time()
        server.scope.cancel()
        await server.ended.wait()
        assert trio.current_time() - began <= 2 + 1 + 1.5


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_program_that_fails_before_a_stalled_reader_is_logged_once(
    transport, autojump_clock, caplog
):
    app = Vuer(transport=transport, close_timeout=2)

    @app.bind
    async def main(session):
        for _ in range(50):
            session.upsert @ box(data=b"x" * MIB)
        raise RuntimeError("XYZZY")
        yield

    async with memory_server(app) as server:
        line = Line(server.connect(lockstep))
        await line.handshake()
        while server.serving.server.connections:
            await trio.sleep(0.1)
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "so the session of a stream ends" in errors[0].getMessage()
