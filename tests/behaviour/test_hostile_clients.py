"""What a client can send at worst ends its own session, and nothing else, on every backend."""

from __future__ import annotations

import json
import random

import anyio
import anyio.lowlevel
import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import DATA
from tests.behaviour.raw_client import (
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    eventually,
    masked,
    pack,
    request,
    witnessed,
)
from tests.repetitions import times
from vuer_trio import Fifo
from vuer_trio.events import ServerEvent, ServerRPC
from vuer_trio.schemas import Element

pytestmark = pytest.mark.anyio

VECTORS = [
    vector
    for vector in json.loads((DATA / "vuer.json").read_text())
    if vector["direction"] == "client->server" and vector.get("hex") is not None
]
#: they decode, so they are events like any others
EVENTS = {"deep_nest_600", "ext_timestamp", "ext_5", "missing_ts", "key_self", "key_cls"}


def is_event(name: str) -> bool:
    kind = name.removeprefix("malformed_to_server_")
    return kind == name or kind in EVENTS


def vector_frame(vector: dict[str, str]) -> bytes:
    text = vector["name"].startswith("malformed_to_server_text")
    return masked(bytes.fromhex(vector["hex"]), TEXT if text else 2)


@pytest.mark.no_cover
async def test_every_recorded_frame(new_server, open_client):
    """One that decodes is an event; one that does not ends its session with 1007."""
    app, seen = new_server(close_timeout=0.05), []
    app.add_handler("AFTER", lambda event, session: seen.append(event.value))
    async with witnessed(app, open_client) as both:
        for number, vector in enumerate(VECTORS):
            name = vector["name"]
            async with both.raw() as client:
                await client.handshake()
                await client.send(vector_frame(vector) + masked(pack("AFTER", number)))
                if is_event(name):
                    await eventually(lambda number=number: seen[-1:] == [number])
                    continue
                await client.read_to_the_end()
                code, reason = client.close_frame() or (None, "")
                assert (code, bool(reason)) == (1007, True), (name, client.frames())
                assert seen[-1:] != [number], f"{name}: the session went on"
            await both.echo()
        await both.nothing_is_left()
    assert len([v for v in VECTORS if not is_event(v["name"])]) >= 12


FAULTS = {
    "a bad opcode": (masked(b"x", 3), {1002}),
    "a bad control opcode": (masked(b"x", 11), {1002}),
    "a reserved bit": (masked(b"x", bits=0x40), {1002}),
    "a frame that is not masked": (b"\x82\x01x", {1002}),
    "a large frame that is not masked": (b"\x82\x7f" + bytes(8), {1002}),
    "a continuation of nothing": (masked(b"x", CONTINUATION), {1002}),
    "a message within a message": (masked(b"x", fin=False) + masked(b"x"), {1002}),
    "a ping in fragments": (masked(b"x", PING, fin=False), {1002}),
    "a ping that is too long": (masked(b"x" * 126, PING), {1002}),
    "a close code that is reserved": (masked(b"\x03\xed", CLOSE), {1002}),
    "a close frame of one byte": (masked(b"\x03", CLOSE), {1002}),
    "a close reason that is not UTF-8": (masked(b"\x03\xe8\xff", CLOSE), {1007}),
    "text that is not UTF-8": (masked(b"\xff", TEXT), {1007}),
    "a length of 2**62": (b"\x82\xff\x40" + bytes(107_000), {1009}),
    "a length of 2**64 - 1": (b"\x82\xff" + b"\xff" * 8 + bytes(107_000), {1002, 1009}),
    "a length over max_size": (b"\x82\xff" + (100_001).to_bytes(8) + bytes(107_000), {1009}),
    "fragments over max_size": (
        masked(b"x" * 60_000, fin=False) + masked(b"x" * 60_000, CONTINUATION),
        {1009},
    ),
    "nested 1,100 deep": (
        masked(b"\x82\xa5etype\xa1X\xa5value" + b"\x91" * 1100 + b"\xc0"),
        {1007},
    ),
    "an array of 2**32 items": (masked(b"\x82\xa5etype\xa1X\xa5value\xdd" + b"\xff" * 4), {1007}),
    "a nil etype": (masked(msgpack.packb({"etype": None})), {1007}),
    "no etype": (masked(msgpack.packb({"value": 1})), {1007}),
    "an empty message": (masked(b""), {1007}),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_has_a_code_and_a_reason(new_server, open_client, name):
    data, codes = FAULTS[name]
    async with witnessed(new_server(max_size=100_000, close_timeout=0.05), open_client) as both:
        async with both.raw() as client:
            await client.handshake()
            await client.send(data)
            await client.read_to_the_end()
            code, reason = client.close_frame() or (None, "")
            assert code in codes, client.frames()
            assert reason
        await both.nothing_is_left(idle=False)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
payloads = st.one_of(
    st.binary(max_size=300),
    st.builds(pack, st.sampled_from(["X", "INIT", "ECHO", "", "R"]), values),
    st.builds(
        lambda whole, cut: whole[:cut], st.builds(pack, st.just("X"), values), st.integers(0, 20)
    ),
    st.builds(
        lambda depth: b"\x82\xa5etype\xa1X\xa5value" + b"\x91" * depth + b"\xc0",
        st.integers(1, 1200),
    ),
    st.builds(
        lambda code, data: msgpack.packb({"etype": "X", "value": msgpack.ExtType(code, data)}),
        st.integers(0, 127),
        st.binary(max_size=9),
    ),
    st.sampled_from([msgpack.packb({"etype": None}), msgpack.packb({}), b"\xc1", b"x" * 70_000]),
)
raw_frames = st.one_of(
    st.builds(masked, payloads),
    st.builds(
        masked,
        payloads,
        st.integers(0, 15),
        fin=st.booleans(),
        bits=st.sampled_from([0, 0, 0, 0x40, 0x20, 0x10]),
    ),
    st.binary(max_size=20),
    st.builds(lambda n: b"\x82\xff" + n.to_bytes(8) + b"1234", st.integers(0, 2**64 - 1)),
    st.just(masked(b"hi", PING)),
    st.just(masked(b"hi", PONG)),
    st.just(masked(b"\x03\xe8bye", CLOSE)),
)


@pytest.mark.slow
@settings(
    max_examples=times(15, 40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(raw_frames, min_size=1, max_size=6), st.lists(st.integers(1, 40), max_size=6))
@example([masked(b"", CLOSE)], [])
async def test_any_stream_of_frames(new_server, open_client, frames, cuts):
    """Whatever it is and however it is cut: a close with a code and a reason, or it goes on."""
    app = new_server(max_size=100_000, close_timeout=0.2)

    @app.spawn(client="x*")
    async def main(session):
        await session.forever()

    async with witnessed(app, open_client) as both:
        async with both.raw() as client:
            await client.handshake()
            data = b"".join(frames)
            for cut in cuts:
                await client.send(data[:cut])
                await anyio.lowlevel.checkpoint()
                data = data[cut:]
            await client.send(data)
            await both.echo()
            await client.end()
            await client.read_to_the_end()
            closing = client.close_frame()
            if closing is not None and closing[0] not in (1000, 1005):
                assert closing[0] in (1002, 1003, 1007, 1009), closing
                assert closing[1] or masked(b"\x03\xe8bye", CLOSE) in frames
        await both.nothing_is_left(idle=False)


async def test_an_init_that_a_filter_can_not_read(new_server, open_client, caplog):
    app, ran = new_server(), []

    @app.spawn(client="x*")
    async def never(session):
        ran.append("never")

    @app.spawn
    async def main(session):
        ran.append("main")
        await session.forever()

    nested = b"\x91" * 1000 + b"\xc0"
    async with witnessed(app, open_client) as both:
        async with both.raw() as client:
            await client.handshake()
            await client.send(masked(b"\x82\xa5etype\xa4INIT\xa5value\x81\xa6client" + nested))
            await eventually(lambda: ran == ["main", "main"])  # the witness's, and this one's
        await both.nothing_is_left()
    assert "Traceback" not in caplog.text


# ---- what costs the server


@pytest.mark.slow
async def test_pings_whose_answers_are_not_read_cost_no_memory(new_server, open_client):
    app = new_server()
    async with witnessed(app, open_client) as both:
        async with both.raw() as client:
            await client.handshake()
            await eventually(lambda: len(app.sessions) == 2)
            session = app.sessions[-1]
            pings = masked(b"x" * 125, PING) * 1000
            sent = 0
            with anyio.move_on_after(1):
                while sent < 40_000_000 and await client.send(pings):
                    sent += len(pings)
            transport = session._connection._link.transport
            kept = sum(map(len, getattr(transport, "_control", ())))
            kept += len(transport._buffered.buffer) if hasattr(transport, "_buffered") else 0
            assert sent > 500_000
            assert kept < 1_000_000
            await both.echo()
            await client.reset()
        await both.nothing_is_left()


async def test_the_smallest_events_behind_who_waits_cost_little_memory(new_server, open_client):
    """While somebody waits only bytes stop the reader; nine of them cost 400 in memory."""
    app, began = new_server(inbox=Fifo(16, max_bytes=1 << 20)), []

    @app.add_handler("A")
    async def waits(event, session):
        began.append(event)
        await session.till("NEVER")

    async with witnessed(app, open_client) as both:
        async with both.raw() as client:
            await client.handshake()
            await client.send(masked(pack("A")))
            await eventually(lambda: began)
            session = app.sessions[-1]
            many = masked(pack("A")) * 1000

            async def flood():
                for _ in range(400):
                    await client.send(many)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(flood)
                await eventually(lambda: session._connection.stopped)
                tasks.cancel_scope.cancel()
            kept = max(len(queue.items) for queue in session._connection.queues)
            read_at_once = 262_144 // len(masked(pack("A")))
            assert 16 < kept < (1 << 20) // 512 + read_at_once
            await both.echo()
            session.cancel_scope.cancel()
        await both.nothing_is_left()


# ---- leaving at bad moments

MOMENTS = ["before", "request", "handshake", "frame", "rpc", "writing", "closing", "idle"]


async def test_sessions_torn_off_at_random_moments(new_server, open_client):
    app, chance, ended = new_server(close_timeout=0.3), random.Random(7), []
    big = Element(tag="Box", key="box", data=b"x" * (1 << 20))

    @app.add_handler("RPC")
    async def ask(event, session):
        try:
            await session.rpc(ServerRPC(None, etype="RPC"), ttl=None)
        finally:
            ended.append("rpc")

    @app.add_handler("WRITE")
    async def write(event, session):
        while True:
            await session.send(ServerEvent({"nodes": [big]}, etype="UPSERT"))

    @app.add_handler("CLOSE")
    async def close(event, session):
        await session.aclose(4000, "enough")

    async def tear(both, moment):
        async with both.raw() as client:
            if moment == "request":
                await client.send(request()[: chance.randrange(1, 100)])
            elif moment != "before":
                if moment == "handshake":
                    await client.send(request())
                else:
                    await client.handshake()
                if moment == "frame":
                    whole = masked(pack("X", b"y" * chance.choice([10, 500, 100_000])))
                    await client.send(whole[: chance.randrange(1, len(whole))])
                elif moment == "rpc":
                    await client.send(masked(pack("RPC")))
                elif moment == "writing":
                    await client.send(masked(pack("WRITE")))
                elif moment == "closing":
                    await client.send(masked(pack("CLOSE")))
            await anyio.sleep(chance.random() * 0.03)
            how = chance.choice(["reset", "close", "half"])
            if how == "reset":
                await client.reset()
            elif how == "half":
                await client.end()
                await anyio.sleep(chance.random() * 0.03)

    async with witnessed(app, open_client) as both:
        rounds = times(1, 5)
        for _ in range(rounds):
            async with anyio.create_task_group() as tasks:
                for n in range(40):
                    tasks.start_soon(tear, both, MOMENTS[n % len(MOMENTS)])
            await both.echo()
        await both.nothing_is_left()
        assert len(both.server.sessions) == 1
        assert len(both.server.server.connections) == 1
    assert ended == ["rpc"] * 5 * rounds
