"""What all sessions of a server hold together is bounded, and so is what one message costs."""

from __future__ import annotations

import gc
import json
import logging

import anyio
import msgpack
import pytest

from tests.behaviour.raw_agent import raw_agent
from tests.behaviour.raw_client import (
    BINARY,
    CONTINUATION,
    TEXT,
    eventually,
    masked,
    pack,
    raw,
    request,
    witnessed,
)
from tests.resource_counts import task_count
from vuer_trio import Fifo, OutboxFull, ProtocolError, SceneStore, Vuer, open_vuer_server
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.schemas import Box, Scene

pytestmark = pytest.mark.anyio

MIB = 1 << 20


def bare(payload: bytes, opcode: int = BINARY, *, fin: bool = True) -> bytes:
    """A client's frame whose key is zero, so that a large one is made fast; over 125 bytes."""
    wide = len(payload) > 0xFFFF
    size = len(payload).to_bytes(8 if wide else 2)
    return bytes([fin << 7 | opcode, 0xFF if wide else 0xFE]) + size + bytes(4) + payload


def begun(size: int, opcode: int = BINARY) -> bytes:
    """As `bare`, and a MiB of it is missing."""
    return bare(bytes(size), opcode)[: -MIB or None]


BOMB = b"\x82\xa5etype\xa1X\xa5value\xdd\x00\x40\x00\x00" + b"\x80" * (1 << 22)


def nothing_shared(budget) -> bool:
    gc.collect()  # what cancelled tasks were at
    return budget.shared == 0


async def test_a_bomb_ends_its_session_with_1009(new_server, open_client, caplog):
    app = new_server(close_timeout=0.05)
    async with witnessed(app, open_client) as both:
        async with both.raw() as client:
            await client.handshake()
            await client.send(masked(pack("INIT")) + bare(BOMB))
            await client.read_to_the_end(within=20)
            code, reason = client.close_frame() or (None, "")
        assert (code, "more than 262,144 values: send arrays as bytes" in reason) == (1009, True)
        await both.nothing_is_left(idle=False)
    assert "holds more than 262,144 values" in caplog.text


async def test_a_bomb_is_a_protocol_error_for_a_client_that_lives_on(new_server, open_client):
    app = new_server()
    many = [0] * (MIB + 1)

    @app.spawn
    async def main(session):
        session @ ServerEvent(many, etype="MANY")
        session @ ServerEvent([0.5] * 300_000, etype="SOME")
        await session.forever()

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        with pytest.raises(ProtocolError, match="more than 1,048,576 values") as refused:
            await client.recv(timeout=60)
        assert refused.value.too_large
        assert len((await client.recv(timeout=60)).data) == 300_000
        await client.flush(timeout=60)


async def test_the_default_max_size_of_a_server_is_16_mib(new_server, open_client):
    app, seen = new_server(close_timeout=0.05), []
    app.add_handler("X", lambda event, session: seen.append(len(event.value)))
    size = 16 * MIB - len(msgpack.packb({"etype": "X", "value": bytes(MIB)})) + MIB
    async with open_vuer_server(app) as server, raw(server.port) as client:
        await client.handshake()
        await client.send(bare(msgpack.packb({"etype": "X", "value": bytes(size)})))
        await eventually(lambda: seen == [size], within=20)
        [session] = app.sessions
        await client.send(bare(msgpack.packb({"etype": "X", "value": bytes(size + 1)})))
        await client.read_to_the_end(within=20)
        assert session.close_code == 1009
    assert seen == [size]


async def test_what_nobody_takes_is_kept_as_it_came(new_server, open_client):
    """Its events may take eighty times the bytes. It is decoded when somebody takes it."""
    app = new_server()
    ready = anyio.Event()
    values = [{"a": n} for n in range(100)]
    got = []

    @app.spawn
    async def main(session):
        await ready.wait()
        async for event in session:
            got.append((event.etype, event.value))
            if len(got) > 100:
                return

    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        for value in values:
            client.send @ ClientEvent(etype="X", value=value)
        await client.flush(timeout=60)
        [session] = app.sessions
        kept = [*session._connection.inbox.items]
        assert all(type(item) in (bytes, bytearray) for item in kept)
        assert session._connection.inbox.bytes == sum(map(len, kept))
        ready.set()
        await client.wait_closed()
    assert [value for etype, value in got if etype == "X"] == values


async def test_a_backlog_counts_as_what_it_takes_in_memory(new_server):
    """A slow program is kept no more than its inbox has room for, however small the values are."""
    app = new_server(inbox=Fifo(1024, max_bytes=8 * MIB), close_timeout=0.05)
    go = anyio.Event()
    small = b"\x82\xa5etype\xa1X\xa5value\xdc\x70\x00" + b"\x80" * 0x7000

    @app.spawn
    async def main(session):
        await session.recv()  # from now on the inbox stops the reader
        await go.wait()

    async with open_vuer_server(app) as server, raw(server.port) as client:
        await client.handshake()
        await client.send(masked(pack("INIT")))
        await eventually(lambda: app.sessions and app.sessions[0]._connection.inbox.has_consumer)
        inbox = app.sessions[0]._connection.inbox
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, bare(small) * 200)
            await eventually(lambda: inbox.full)
            # As payload there would be room for 292. Read at once, before it is full: 20.
            assert 4 <= len(inbox.items) <= 40
            go.set()


async def test_the_largest_session_ends_when_all_hold_too_much(new_server, open_client, caplog):
    caplog.set_level(logging.WARNING, logger="vuer_trio.link")
    app = new_server(max_buffered=8 * MIB, close_timeout=0.05)
    async with witnessed(app, open_client) as both, both.raw() as small, both.raw() as large:
        sessions = []
        for client in (small, large):
            before = len(app.sessions)
            await client.handshake()
            await eventually(lambda before=before: len(app.sessions) > before)
            sessions.append(app.sessions[-1])
        slow, slowest = sessions
        for session, pieces in ((slow, 2), (slowest, 5)):
            for _ in range(pieces):
                session @ ServerEvent(bytes(MIB), etype="X")
        assert slowest.connected
        slow @ ServerEvent(bytes(2 * MIB), etype="X")
        assert not slowest.connected
        assert slow.connected
        assert slowest._connection.outbox.bytes <= 2 * MIB  # what is being written
        await eventually(lambda: slowest not in app.sessions)
        assert slowest.close_code == 1013
        await both.echo()
        assert app._serving.memory.held < 8 * MIB
    assert "the messages of all sessions take more than 8,388,608 bytes" in caplog.text
    assert "see max_buffered=" in caplog.text


PARTS = {
    "a large message": begun(4 * MIB),
    "fragments": bare(bytes(MIB), fin=False) + bare(bytes(2 * MIB), CONTINUATION, fin=False),
    "a large text": begun(4 * MIB, TEXT),
    "a text in fragments": bare(bytes(3 * MIB), TEXT, fin=False),
}


@pytest.mark.parametrize("name", PARTS)
async def test_messages_that_are_not_whole_are_held_too(new_server, open_client, name):
    app = new_server(max_buffered=10 * MIB, close_timeout=0.05)
    async with witnessed(app, open_client) as both:
        budget = app._serving.memory
        async with both.raw() as one, both.raw() as two, both.raw() as three, both.raw() as four:
            for number, client in enumerate((one, two, three), 1):
                await client.handshake()
                await client.send(PARTS[name])
                await eventually(lambda number=number: budget.held >= number * 3 * MIB - 200_000)
            assert len(app.sessions) == 4
            await four.handshake()
            await four.send(PARTS[name])
            # one of the four, whichever holds the most at that moment
            await eventually(lambda: len(app.sessions) == 4 and budget.held < 10 * MIB)
            await both.echo()
        await both.nothing_is_left(idle=False)
        assert budget.held < MIB


async def test_a_broadcast_is_held_once(new_server, open_client):
    """Ten clients that do not read, and a message of 1 MiB for all of them: that is 1 MiB."""
    app = new_server(max_buffered=40 * MIB, close_timeout=0.05)
    async with witnessed(app, open_client) as both:
        budget = app._serving.memory
        async with anyio.create_task_group() as tasks:
            stop = anyio.Event()

            async def stand():
                async with both.raw() as client:
                    await client.handshake()
                    await stop.wait()

            for _ in range(10):
                tasks.start_soon(stand)
            await eventually(lambda: len(app.sessions) == 11)
            for n in range(24):  # of which the system takes some
                app.broadcast @ ServerEvent(bytes(MIB), etype="X")
                assert (await both.client.recv(timeout=60)) == "X", n
            assert len(app.sessions) == 11
            held = sum(session._connection.held for session in app.sessions)
            assert 2 * MIB < budget.shared < 25 * MIB
            assert held > 40 * MIB > budget.held
            stop.set()
        await eventually(lambda: len(app.sessions) == 1)
        await both.echo()
        await eventually(lambda: nothing_shared(budget))
        assert all(session._connection.shared == 0 for session in app.sessions)


@pytest.mark.parametrize("outbox", [Fifo(3), "Latest", "DropOldest", "Discard"])
async def test_what_is_shared_is_forgotten_however_it_leaves(new_server, open_client, outbox):
    import vuer_trio

    if isinstance(outbox, str):
        outbox = getattr(vuer_trio, outbox)() if outbox != "DropOldest" else vuer_trio.DropOldest(3)
    app = new_server(outbox=outbox, close_timeout=0.05)
    async with open_vuer_server(app) as server, open_client(server.uri) as client:
        await client.flush(timeout=60)
        [session], budget = app.sessions, server.memory
        for n in range(10):
            try:
                app.broadcast @ ServerEvent("x" * 1000 * n, etype=f"X{n % 4}")
            except OutboxFull:
                assert outbox == Fifo(3)
            connection = session._connection
            assert 0 <= connection.shared <= connection.outbox.bytes <= connection.held
        with anyio.move_on_after(1):
            await app.broadcast.send(ServerEvent("x", etype="LAST"))
        await session.flush(timeout=60)
        await eventually(lambda: connection.outbox.bytes == 0)
        assert connection.shared == 0
        await eventually(lambda: nothing_shared(budget))


async def test_a_scene_is_encoded_once_for_all_who_begin_to_see_it(new_server, open_client):
    app, store = new_server(), SceneStore()
    store.set @ Scene(*[Box(key=f"b{n}", data="x" * 1000) for n in range(1100)])
    waiting = []

    @app.spawn
    async def main(session):
        async with store.subscribe(session):
            waiting.append(session)
            await session.forever()

    async with open_vuer_server(app) as server:
        before = task_count()
        async with anyio.create_task_group() as tasks:
            stop = anyio.Event()

            async def stand():
                async with raw(server.port) as client:
                    await client.handshake()
                    await client.send(masked(pack("INIT")))
                    await stop.wait()

            for _ in range(8):
                tasks.start_soon(stand)
            await eventually(lambda: len(waiting) == 8, within=20)
            assert MIB < server.memory.shared < 2 * MIB
            store.update @ {"key": "b1", "data": "y"}
            async with open_client(server.uri) as client:
                event = await client.recv(timeout=60)
                assert event == "SET"
                assert event.data["children"][1]["data"] == "y"
                assert server.memory.shared < 3 * MIB  # two versions, and one change
            stop.set()
        await eventually(lambda: task_count() <= before)
        await eventually(lambda: nothing_shared(server.memory))


async def test_options():
    assert Vuer(port=0)._options.max_buffered == 1 << 30
    for wrong in (0, -1, "1 GB", True):
        with pytest.raises((TypeError, ValueError), match="max_buffered"):
            Vuer(port=0, max_buffered=wrong)


@pytest.mark.slow
async def test_a_relay_bounds_what_its_agents_hold(open_relay, backend, caplog):
    """Messages for an agent that does not read; the one that reads, and who sends, live on."""
    options = {"max_message_size": 4 * MIB, "max_buffered": 16 * MIB, "close_timeout": 0.05}
    options["stall_timeout"] = 600  # the bound alone ends who does not read, however long it takes
    async with open_relay(**options) as relay:
        tokens = {name: relay.registry.register(name)[1] for name in ("deaf", "alice", "bob")}
        async with (
            raw(relay.port) as deaf,
            raw_agent(relay.port, tokens["alice"], backend.transport) as alice,
            raw_agent(relay.port, tokens["bob"], backend.transport) as bob,
        ):
            await deaf.stream.send(request(f"/arc?token={tokens['deaf']}"))
            await eventually(lambda: len(relay.stats()["relay"]["agents"]) == 3)
            assert [(await one.next())["type"] for one in (alice, bob)] == ["welcome"] * 2
            text = "x" * (2 * MIB)
            for n in range(40):
                alice.send(json.dumps({"to": ["deaf", "bob"], "payload": text}))
                assert (await bob.next())["from"] == "alice", n
                if "deaf" not in relay.stats()["relay"]["agents"]:
                    break
            assert relay.stats()["relay"]["agents"] == ["alice", "bob"]
            assert relay.memory.held < 16 * MIB
    assert "the messages of all agents take more than 16,777,216 bytes" in caplog.text
