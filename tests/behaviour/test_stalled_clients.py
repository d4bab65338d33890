"""A client that takes nothing of what waits for it: it ends, and the others notice nothing."""

from __future__ import annotations

import gc
import logging
import socket
import time
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
import trio

from tests.behaviour.memory_server import memory_server
from tests.behaviour.raw_client import (
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Raw,
    eventually,
    masked,
    pack,
    witnessed,
)
from tests.behaviour.raw_client import request as upgrade
from tests.behaviour.test_server_limits import Line, box, lockstep
from tests.behaviour.test_server_tls import files, trusting  # noqa: F401  # a fixture
from vuer_trio import Fifo, OutboxFull, SceneStore, Vuer, open_vuer_server
from vuer_trio.events import ClientEvent, ServerEvent, Upsert
from vuer_trio.schemas import DefaultScene

TRANSPORTS = ["trio-websocket", "websockets", "wsproto"]
MIB = 1 << 20


# ---- in virtual time: who ends, and when


def told_when_it_ends(app, ended):
    @app.spawn
    async def main(session):
        try:
            await session.forever()
        finally:
            ended.append((trio.current_time(), session))

    return app


async def never_reads(server, nursery, alive=b""):
    """A client that sends ``alive`` every second, and its session."""
    line = Line(server.connect(lockstep))
    before = set(server.sessions)
    await line.handshake()
    await line.stream.send_all(masked(pack("INIT", {"client": "x"})))

    async def beats():
        with pytest.raises(trio.BrokenResourceError):
            while alive:
                await trio.sleep(1)
                await line.stream.send_all(alive)

    if alive:
        nursery.start_soon(beats)
    await trio.testing.wait_all_tasks_blocked()
    (session,) = set(server.sessions) - before
    return line, session


SIGNS = {
    "nothing": b"",
    "pongs": masked(b"", PONG),
    "pings": masked(b"x", PING),
    "events": masked(pack("X")),
}


@pytest.mark.trio
@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_what_it_sends_is_no_sign_of_life(transport, sign, autojump_clock, caplog):
    ended = []
    app = told_when_it_ends(Vuer(transport=transport, heartbeat=60), ended)
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        _, session = await never_reads(server, nursery, SIGNS[sign])
        await trio.sleep(50)
        assert not ended or sign == "pings", "nothing waits for it, so nothing stalls"
        if sign == "pings":  # their answers do
            assert ended[0][0] <= 13
        else:
            began = trio.current_time()
            session.upsert @ box(data=b"x" * MIB)
            while not ended:
                await trio.sleep(0.01)
            assert 10 <= ended[0][0] - began <= 11.1  # and ``close_timeout``, for what was read
        assert session.close_code == 1008
        assert caplog.text.count("has taken nothing for 10 s") == 1
        await trio.sleep(3)
        assert server.serving.server.connections == {}


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_one_that_reads_slowly_is_kept(transport, autojump_clock):
    ended = []
    app = told_when_it_ends(Vuer(transport=transport, heartbeat=60), ended)
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        line, session = await never_reads(server, nursery, masked(b"", PONG))
        for _ in range(20):
            session.upsert @ box(data=b"x" * MIB)
        for _ in range(60):
            for _ in range(20):  # as much as comes at a time
                await line.read(300_000)
                line.received = b""
            await trio.sleep(8)
        assert not ended
        assert session.statistics().sent > 5
        nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_one_that_begins_to_read_just_then_is_told_why(transport, autojump_clock):
    """The close frame comes as soon as what was begun is over; what waited does not come."""
    app = told_when_it_ends(Vuer(transport=transport, heartbeat=60), [])
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        line, session = await never_reads(server, nursery)
        line.received = b""
        for n in range(30):
            session.upsert @ box(data=b"x" * 100_000, n=n)
            await trio.testing.wait_all_tasks_blocked()  # each is written by itself
        while session.connected:
            await trio.sleep(0.01)
        with pytest.raises((trio.BrokenResourceError, trio.ClosedResourceError, EOFError)):
            while True:
                if not await line.read(65_536):
                    raise EOFError
        raw = Raw(None)
        raw.received = line.received
        assert raw.close_frame() == (1008, "nothing of what was sent was taken for 10 s")
        assert line.received.count(b"UPSERT") < 30
        nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_ends_waits_for_none_of_them(transport, autojump_clock):
    app = told_when_it_ends(Vuer(transport=transport, heartbeat=60, close_timeout=2), [])
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        for _ in range(20):
            _, session = await never_reads(server, nursery)
            session.upsert @ box(data=b"x" * MIB)
        began = trio.current_time()
        server.scope.cancel()
        await server.ended.wait()
        assert trio.current_time() - began <= 2 + 1 + 1
        nursery.cancel_scope.cancel()


# ---- in virtual time: broadcasts


@pytest.mark.trio
@pytest.mark.on_time
@pytest.mark.parametrize("stall_timeout", [10, 3])
async def test_a_broadcast_waits_for_no_session_longer_than_that(stall_timeout, autojump_clock):
    """Neither for one that stalls, which ends, nor for one that is only slow, which is skipped."""
    for slow in (False, True):
        app = Vuer(outbox=Fifo(4), heartbeat=600, stall_timeout=stall_timeout)
        async with memory_server(app) as server, trio.open_nursery() as nursery:
            line, session = await never_reads(server, nursery)
            if slow:

                async def trickles(line=line):
                    while True:
                        await line.read(263_000)
                        await trio.sleep(0.9 * stall_timeout)

                nursery.start_soon(trickles)
            longest = waits = 0.0
            for n in range(40):
                began = trio.current_time()
                await app.broadcast.send(Upsert(box(data=b"x" * 9 * MIB, n=n)))
                took = trio.current_time() - began
                longest, waits = max(longest, took), waits + (took > 0)
            assert longest == pytest.approx(stall_timeout, abs=1.3)
            assert waits == 1, "one that was skipped is not waited for again until it has caught up"
            assert session.connected == slow
            assert (session.statistics().skipped > 30) == slow
            nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.on_time
async def test_broadcasts_come_in_the_order_of_the_calls_whatever_waits(autojump_clock):
    app = Vuer(outbox=Fifo(2), heartbeat=600, stall_timeout=1000, transport="websockets")
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        slow_line, slow = await never_reads(server, nursery)
        quick_line, quick = await never_reads(server, nursery)
        seen = []

        async def reads():
            while True:
                await quick_line.read(MIB)

        nursery.start_soon(reads)

        async def sends(n):
            await app.broadcast.send(ServerEvent(n, etype="N", pad=b"x" * MIB))
            seen.append(n)

        for n in range(6):
            nursery.start_soon(sends, n)
            await trio.testing.wait_all_tasks_blocked()
        assert len(seen) == 2, "two have room, the others wait for the slow one"
        assert quick.statistics().sent == 6, "which does not concern the other"
        with trio.move_on_after(1) as scope:
            nursery.start_soon(sends, 6)
            await app.broadcast.send(ServerEvent("cancelled", etype="N"))
        assert scope.cancelled_caught
        app.broadcast @ ServerEvent("overtakes", etype="N")
        assert slow.statistics().skipped == 1

        async def reads_slowly():
            while len(seen) < 7 or slow.statistics().sent < 7:
                await slow_line.read(50_000)

        await reads_slowly()
        assert sorted(seen) == list(range(7))
        order = [slow_line.received.index(b"\xa4data" + bytes([n])) for n in range(7)]
        assert order == sorted(order)
        assert b"cancelled" not in slow_line.received
        assert b"overtakes" not in slow_line.received
        order = [quick_line.received.index(b"\xa4data" + bytes([n])) for n in range(7)]
        assert order == sorted(order)
        assert b"cancelled" in quick_line.received, "it had room, and has got it"
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_session_that_ends_while_a_broadcast_waits_for_it_is_left_out(autojump_clock):
    app = Vuer(outbox=Fifo(1), stall_timeout=1000, close_timeout=0.1)
    async with memory_server(app) as server, trio.open_nursery() as nursery:
        _, first = await never_reads(server, nursery)
        _, second = await never_reads(server, nursery)
        await app.broadcast.send(Upsert(box(data=b"x" * MIB)))
        began = trio.current_time()

        async def ends():
            await trio.sleep(5)
            first.cancel_scope.cancel()
            await trio.sleep(5)
            second.cancel_scope.cancel()

        nursery.start_soon(ends)
        await app.broadcast.send(Upsert(box()))
        assert 10 <= trio.current_time() - began <= 11
        assert first.statistics().skipped == second.statistics().skipped == 0


@pytest.mark.trio
@pytest.mark.on_time
async def test_a_subscriber_that_never_reads_costs_a_store_nothing(autojump_clock):
    app, store, raised = Vuer(outbox=Fifo(8), heartbeat=60), SceneStore(), []
    store.set @ DefaultScene(box(data=b"x" * MIB))

    @app.spawn
    async def main(session):
        try:
            async with store.subscribe(session):
                await session.forever()
        except OutboxFull:
            raised.append(session)
            raise

    async with memory_server(app) as server, trio.open_nursery() as nursery:
        _, full = await never_reads(server, nursery, masked(b"", PONG))
        for n in range(20):
            store.update @ box(n=n)
        _, stalled = await never_reads(server, nursery, masked(b"", PONG))
        began = trio.current_time()
        while server.sessions:
            await trio.sleep(0.1)
        assert trio.current_time() - began <= 12
        assert raised == [full]
        assert stalled.close_code == 1008
        assert repr(store).endswith("0 subscribers>")


# ---- on every backend, over sockets: the system's buffers are in between


@asynccontextmanager
async def greedy_of_nothing(port):
    """A client whose system takes as little as it can."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    stream = await anyio.abc.SocketStream.from_socket(sock)
    try:
        yield Raw(stream)
    finally:
        await anyio.aclose_forcefully(stream)


@pytest.mark.anyio
async def test_over_a_socket_it_ends_and_the_caller_is_told_nothing(
    new_server, open_client, caplog
):
    """The program of another session broadcasts, as an operator's does."""
    app = new_server(outbox=Fifo(20), stall_timeout=0.5, close_timeout=0.2)
    failed, count = [], [0]

    @app.add_handler("GO")
    async def broadcasts(event, session):
        try:
            while True:
                app.broadcast.upsert @ box(data=b"x" * 300_000)
                await app.broadcast.send(ServerEvent(count[0], etype="COUNT"))
                count[0] += 1
                await anyio.sleep(0.001)
        except Exception as exc:
            failed.append(exc)
            raise

    async with (
        witnessed(app, open_client) as both,
        greedy_of_nothing(both.server.port) as stranger,
    ):
        await stranger.handshake()
        await stranger.send(masked(pack("INIT")))
        await eventually(lambda: len(app.sessions) == 2)
        strange = app.sessions[1]
        both.client.send @ ClientEvent(etype="GO")

        async def beats():
            while await stranger.send(masked(b"", PONG)):
                await anyio.sleep(0.05)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beats)
            with anyio.fail_after(60):
                while len(app.sessions) == 2:
                    await both.client.recv()
            assert strange.close_code == 1008
            until = count[0] + 5
            with anyio.fail_after(60):
                while (await both.client.recv()) != "COUNT" or count[0] < until:
                    pass
            assert not failed
            assert both.client.connected
            tasks.cancel_scope.cancel()
    assert caplog.text.count("has taken nothing for 0.5 s") == 1


@pytest.mark.slow
@pytest.mark.anyio
async def test_over_tls_it_ends_too(new_server, files, caplog):  # noqa: F811
    folder, authority = files
    app = new_server(
        cert=folder / "cert.pem",
        key=folder / "key.pem",
        outbox=Fifo(2000),
        stall_timeout=0.5,
        close_timeout=0.2,
    )
    async with open_vuer_server(app) as server:
        stream = await anyio.connect_tcp(
            "localhost", server.port, tls=True, ssl_context=trusting(authority)
        )
        await stream.send(upgrade())
        await eventually(lambda: app.sessions)
        (session,) = app.sessions
        for _ in range(30):
            session.upsert @ box(data=b"x" * MIB)
        await eventually(lambda: not app.sessions, 20)
        assert session.close_code == 1008
        await anyio.aclose_forcefully(stream)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_member_of_a_relay_that_never_reads_ends_and_the_others_go_on(
    open_relay, open_agent, caplog
):
    async with (
        open_relay(stall_timeout=0.5, close_timeout=0.2) as relay,
        open_agent(relay.url) as agent,
        greedy_of_nothing(relay.port) as stranger,
    ):
        _, token = relay.registry.register("stranger")
        await stranger.stream.send(upgrade("/arc", f"Authorization: Bearer {token}"))
        await stranger.stream.receive()  # and no more: the library of a stream reads on until then
        await eventually(lambda: "stranger" in relay.switch.agents)

        async def beats():
            while await stranger.send(masked(b"", PONG)):
                await anyio.sleep(0.05)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beats)
            for _ in range(12):
                await agent.direct("stranger", "x" * 500_000)
            await eventually(lambda: "stranger" not in relay.switch.agents, 30)
            tasks.cancel_scope.cancel()
        assert "has taken nothing for 0.5 s" in caplog.text
        await agent.flush(timeout=60)
        await eventually(lambda: len(relay._server.connections) == 1)


# ---- on every backend: floods


FLOODS = {
    "pongs": masked(b"", PONG) * 6_000,
    "pings": masked(b"", PING) * 6_000,
    "empty fragments": masked(b"", fin=False) + masked(b"", CONTINUATION, fin=False) * 6_000,
    "events": masked(pack("X")) * 5_000,
    "events with a handler": masked(pack("SLOW")) * 5_000,
}


@pytest.mark.no_cover
@pytest.mark.anyio
@pytest.mark.parametrize("flood", FLOODS)
async def test_no_flood_of_small_frames_keeps_the_loop(new_server, open_client, flood):
    """How long the others wait is told by the processor's clock: that of a busy machine's wall
    would tell of the machine."""
    app, gaps = new_server(), []

    @app.add_handler("SLOW")
    def slow(event, session):
        began = time.thread_time()
        while time.thread_time() - began < 0.0001:
            pass

    async def ticks():
        while True:
            began = time.thread_time()
            await anyio.lowlevel.checkpoint()
            gaps.append(time.thread_time() - began)

    async with witnessed(app, open_client) as both, both.raw() as client:
        await client.handshake()
        await eventually(lambda: len(app.sessions) == 2)
        session = app.sessions[1]
        size = session.statistics().bytes_received + len(FLOODS[flood])
        async with anyio.create_task_group() as tasks:
            gc.collect()
            gc.disable()
            try:
                tasks.start_soon(ticks)
                tasks.start_soon(client.send, FLOODS[flood])
                await eventually(lambda: session.statistics().bytes_received >= size, 100)
                await both.echo()
            finally:
                gc.enable()
            tasks.cancel_scope.cancel()
        await client.reset()
        assert max(gaps) < 0.015


@pytest.mark.no_cover
@pytest.mark.anyio
async def test_a_flood_of_relayed_frames_does_not_keep_the_loop(open_relay, open_agent):
    gaps = []

    async def ticks():
        while True:
            began = time.thread_time()
            await anyio.lowlevel.checkpoint()
            gaps.append(time.thread_time() - began)

    async with open_relay() as relay, open_agent(relay.url) as agent:
        stream = await anyio.connect_tcp("localhost", relay.port)
        other = Raw(stream)
        _, token = relay.registry.register("flooder")
        await stream.send(upgrade("/arc", f"Authorization: Bearer {token}"))
        await eventually(lambda: "flooder" in relay.switch.agents)
        gc.collect()
        gc.disable()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ticks)
                with anyio.move_on_after(10):
                    for _ in range(5):
                        await other.send(masked(b"{}", TEXT) * 3000)
                await agent.flush(timeout=60)
                tasks.cancel_scope.cancel()
        finally:
            gc.enable()
        assert max(gaps) < 0.04
        await anyio.aclose_forcefully(stream)


# ---- on every backend: log lines


@pytest.mark.anyio
async def test_a_handler_that_fails_at_every_event_does_not_fill_the_log(
    new_server, open_client, caplog
):
    app, calls = new_server(), []

    @app.add_handler("FAIL")
    def fails(event, session):
        calls.append(event)
        raise RuntimeError("at every event")

    @app.add_handler("OTHER")
    def other(event, session):
        raise RuntimeError("at another event")

    with caplog.at_level(logging.WARNING):
        async with witnessed(app, open_client) as both:
            for _ in range(500):
                await both.client.send(ClientEvent(etype="FAIL"))
            both.client.send @ ClientEvent(etype="OTHER")
            await both.echo()
    assert len(calls) == 500
    lines = caplog.text.count("the handler of FAIL raised")
    assert 20 <= lines <= 60, "those of the first moment, and one a second"
    assert caplog.text.count("the handler of OTHER raised") == 1
