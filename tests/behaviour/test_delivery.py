"""Delivery policies and staleness, over sockets and on every backend."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import msgpack
import pytest

from tests.behaviour.numbered_events import Number, go, numbers, on_go, stream
from tests.behaviour.raw_client import eventually
from tests.scripted_server import serve_peer
from vuer_trio import (
    ClientClosed,
    ConnectionClosed,
    Discard,
    DropOldest,
    Fifo,
    Latest,
    ProtocolError,
    Stale,
)
from vuer_trio.events import ClientEvent

pytestmark = pytest.mark.anyio

MIB = 1 << 20
NAMES = ["drop oldest", "latest", "discard"]


def script_of(events):
    """A script that sends these events once it has got INIT."""

    async def script(conn):
        await conn.accept()
        await conn.recv()
        for event in events:
            await conn.send_event(event)

    return script


@pytest.fixture
def stuck(open_client):
    """A client whose peer does not read, and is full already."""

    @asynccontextmanager
    async def make(policy):
        async with (
            serve_peer(receive_buffer=4096) as peer,
            open_client(peer.uri, outbox=policy, close_timeout=10) as client,
        ):
            conn = await peer.connection()
            await conn.wait_until(lambda: conn.messages)
            conn.stop_reading()
            # It is being written from now on.
            await client.send(Number(value="plug", pad=bytes(8 * MIB)))
            await anyio.wait_all_tasks_blocked()
            yield client, conn
            conn.resume_reading()

    return make


# ---- sending


async def send_all_ways(client, count):
    """The numbers up to ``count``, in every form; none of them waits."""
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        with anyio.fail_after(60):
            for n in range(0, count, 5):
                client.send @ Number(value=n)
                await client.send(Number(value=n + 1))
                await client.send @ Number(value=n + 2)
                client.send_nowait(Number(value=n + 3))
                await client.send_many([Number(value=n + 4)])
        tasks.cancel_scope.cancel()
    assert turns < 20 * count


async def test_an_outbox_drops_the_oldest(stuck):
    async with stuck(DropOldest(10)) as (client, conn):
        await send_all_ways(client, 500)
        statistics = client.statistics()
        assert (statistics.outbox, statistics.dropped) == (11, 490)
        conn.resume_reading()
        await client.flush()
        assert numbers(conn.messages) == ["plug", *range(490, 500)]
        assert client.statistics().sent == 11
        assert client.statistics().outbox_bytes == 0


@pytest.mark.slow
@pytest.mark.no_cover
async def test_an_outbox_is_bounded_in_bytes_under_a_program_that_floods_it(stuck):
    for policy in (DropOldest(max_bytes=MIB), Latest(lambda e: e.value, max_bytes=MIB)):
        async with stuck(policy) as (client, conn):
            for n in range(300):
                client.send @ Number(value=n, pad=bytes(20_000))
                assert client.statistics().outbox_bytes <= 9 * MIB + 1000
            assert client.statistics().outbox_bytes > 8 * MIB + 900_000
            conn.resume_reading()
            await client.flush()
            found = numbers(conn.messages)
            kept = len(found) - 1
            assert 40 < kept <= 53
            assert found == ["plug", *range(300 - kept, 300)]
            assert client.statistics().dropped == 300 - kept


async def test_an_outbox_keeps_the_latest_of_each_type(stuck):
    async with stuck(Latest()) as (client, conn):
        for n in range(300):
            client.send @ Number(value=n)
            await client.send(ClientEvent(etype="CLICK", value=n))
            await client.send @ ClientEvent(etype="ON_CLICK", value=-n)
        statistics = client.statistics()
        assert (statistics.outbox, statistics.dropped) == (3, 898)
        conn.resume_reading()
        await client.flush()
        found = [msgpack.unpackb(message) for message in conn.messages[2:]]
        assert [(event["etype"], event["value"]) for event in found] == [
            ("NUMBER", 299),
            ("ON_CLICK", -299),
        ]


async def test_an_outbox_keeps_the_latest_of_each_key(stuck):
    policy = Latest(key=lambda event: event.key, max_keys=2)
    with pytest.raises(AttributeError, match="key"):
        async with stuck(policy) as (client, conn):
            pass
    policy = Latest(key=lambda event: getattr(event, "key", "plug"), max_keys=2)
    async with stuck(policy) as (client, conn):
        for n in range(9):
            client.send @ Number(value=n, key=n % 3)
        client.send @ Number(value=9, key=1)
        assert client.statistics().dropped == 8
        conn.resume_reading()
        await client.flush()
        assert numbers(conn.messages) == ["plug", 8, 9]


async def test_what_a_key_function_does_wrong_is_the_callers(open_client):
    policy = Latest(key=lambda event: event.value)
    async with serve_peer() as peer, open_client(peer.uri, outbox=policy) as client:
        with pytest.raises(TypeError, match="unhashable"):
            await client.send(Number(value=[1]))
        with pytest.raises(TypeError, match="unhashable"):
            client.send @ Number(value={})
        client.send @ Number(value=(1,))
        await client.flush()
        assert numbers((await peer.connection()).messages) == [[1]]


async def test_an_outbox_that_discards_sends_nothing_but_init(open_client):
    async with serve_peer() as peer, open_client(peer.uri, outbox=Discard()) as client:
        await send_all_ways(client, 50)
        await client.flush()
        conn = await peer.connection()
        assert [msgpack.unpackb(message)["etype"] for message in conn.messages] == ["INIT"]
        statistics = client.statistics()
        assert (statistics.dropped, statistics.sent, statistics.outbox) == (50, 0, 0)


@pytest.mark.parametrize("policy", [DropOldest(1), Latest(), Discard()], ids=NAMES)
async def test_a_permit_always_finds_room(stuck, policy):
    async with stuck(policy) as (client, conn):
        before = client.statistics().outbox
        permits = [await client.send for _ in range(5)]
        assert client.statistics().outbox == before + 5
        for n, permit in enumerate(permits[:4]):
            permit @ Number(value=n)
        permits[4].release()
        del permit, permits
        assert client.statistics().outbox == before + (policy != Discard())
        conn.resume_reading()
        await client.flush()
        kept = [] if policy == Discard() else ["plug", 3]
        assert numbers(conn.messages) == kept


@pytest.mark.parametrize("policy", [DropOldest(1), Latest(), Discard()], ids=NAMES)
async def test_they_fail_as_others_do_when_the_connection_has_ended(open_client, policy):
    async with serve_peer() as peer:
        async with open_client(peer.uri, outbox=policy, inbox=policy) as client:
            await (await peer.connection()).abort()
            with pytest.raises(ConnectionClosed):
                await client.recv()
            with pytest.raises(ConnectionClosed):
                client.send @ Number()
            with pytest.raises(ConnectionClosed):
                await client.send(Number())
        with pytest.raises(ConnectionClosed):
            await client.send


# ---- receiving


async def read_all(client, peer):
    """Let the peer's script run to its end without receiving anything."""
    await go(client)
    with anyio.fail_after(60):
        await peer.join()
        await client.flush()  # the reader reads on: the pong comes behind all of it


async def test_an_inbox_drops_the_oldest(open_client):
    async with (
        serve_peer(on_go(stream(500))) as peer,
        open_client(peer.uri, inbox=DropOldest(10)) as client,
    ):
        await read_all(client, peer)
        assert (client.statistics().inbox, client.statistics().dropped) == (10, 490)
        event = await client.recv()
        assert (event.data, event.dropped_before) == (490, 490)
        rest = await client.recv_many()
        assert [e.data for e in rest] == list(range(491, 500))
        assert {e.dropped_before for e in rest} == {0}
        assert client.statistics().dropped == 490


async def test_an_inbox_keeps_the_latest_of_each_type(open_client):
    events = [{"etype": etype, "data": n} for n in range(100) for etype in ("A", "B", "A")]
    events += [{"etype": "CLICK", "data": 1}, {"etype": "ON_CLICK", "data": 2}]
    events += [{"etype": "B", "data": 100}]
    async with (
        serve_peer(on_go(events)) as peer,
        open_client(peer.uri, inbox=Latest()) as client,
    ):
        await read_all(client, peer)
        assert client.statistics().inbox == 3
        assert client.statistics().dropped == len(events) - 3
        received = [await client.recv() for _ in range(3)]
        assert [(e.etype, e.data) for e in received] == [("A", 99), ("ON_CLICK", 2), ("B", 100)]
        assert [e.dropped_before for e in received] == [len(events) - 3, 0, 0]


async def test_an_inbox_keeps_the_latest_of_each_key(open_client):
    inbox = Latest(key=lambda event: event.data % 7, max_keys=3)
    async with (
        serve_peer(on_go(stream(100))) as peer,
        open_client(peer.uri, inbox=inbox) as client,
    ):
        await read_all(client, peer)
        assert [event.data for event in await client.recv_many()] == [97, 98, 99]
        assert client.statistics().dropped == 97


async def test_what_can_not_be_decoded_or_has_no_key_replaces_nothing(open_client, caplog):
    inbox = Latest(key=lambda event: event.data["id"])
    events = [
        b"\xc1",
        {"etype": "A", "data": {"id": 1, "n": 1}},
        {"etype": "A", "data": None},
        b"\xc1",
        {"etype": "A", "data": {"id": [1]}},
        {"etype": "A", "data": {"id": 1, "n": 2}},
    ]
    async with serve_peer(on_go(events)) as peer, open_client(peer.uri, inbox=inbox) as client:
        await read_all(client, peer)
        received = []
        for _ in range(5):
            try:
                received.append((await client.recv()).data)
            except ProtocolError as exc:
                received.append(exc.frame)
        assert received == [b"\xc1", None, b"\xc1", {"id": [1]}, {"id": 1, "n": 2}]
        assert client.statistics().dropped == 1
        assert client.connected
    assert caplog.text.count("the key function of the inbox raised for A") == 2


async def test_an_inbox_that_discards_keeps_nothing_and_its_recv_waits_for_the_end(open_client):
    seen = []
    async with serve_peer(on_go(stream(100))) as peer:
        client = open_client(peer.uri, inbox=Discard())
        client.on("N", lambda event: seen.append(event.data))
        async with client:
            await read_all(client, peer)
            assert (client.statistics().inbox, client.statistics().dropped) == (0, 100)
            await eventually(lambda: len(seen) == 100)
            assert seen == list(range(100))
            conn = await peer.connection()
            await conn.close()
            assert [event async for event in client] == []


@pytest.mark.parametrize(
    "inbox",
    [
        DropOldest(100_000, max_bytes=MIB),
        Latest(key=lambda event: event.data, max_keys=100_000, max_bytes=MIB),
        Discard(),
    ],
    ids=["drop oldest", "latest", "discard"],
)
@pytest.mark.no_cover
async def test_an_inbox_is_bounded_under_a_peer_that_floods_it(open_client, inbox):
    most = 0

    async def watch(client):
        nonlocal most
        while True:
            most = max(most, client.statistics().inbox_bytes)
            await anyio.lowlevel.checkpoint()

    script = on_go(stream(1000, pad=bytes(20_000)))  # 20 MB
    async with serve_peer(script) as peer, open_client(peer.uri, inbox=inbox) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch, client)
            await read_all(client, peer)
            tasks.cancel_scope.cancel()
        statistics = client.statistics()
        assert most <= MIB
        assert statistics.received == 1000
        assert statistics.inbox + statistics.dropped == 1000
        if inbox != Discard():
            assert most > 900_000
            received = [event.data for event in await client.recv_many()]
            assert received == list(range(1000 - len(received), 1000))


async def test_an_inbox_without_receivers_has_the_same_policy(open_client):
    script = script_of(stream(50) + stream(50, "M"))
    async with serve_peer(script) as peer, open_client(peer.uri, inbox=Latest()) as client:
        await peer.join()
        await client.flush()
        assert [(e.etype, e.data) for e in await client.recv_many()] == [("N", 49), ("M", 49)]


@pytest.mark.parametrize(
    ("inbox", "seen_slowly", "seen_after_it"),
    [
        (Latest(), [0, 99], [99]),
        (DropOldest(5), [0, 98, 99], [97, 98, 99]),
        (Discard(), list(range(100)), list(range(100))),
    ],
    ids=["latest", "drop oldest", "discard"],
)
async def test_events_that_wait_for_a_slow_handler_have_the_policy_of_the_inbox(
    open_client, inbox, seen_slowly, seen_after_it
):
    go = anyio.Event()
    seen, others = [], []

    async def slow(event):
        seen.append(event.data)
        await go.wait()

    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.send_event({"etype": "N", "data": 0})
        await conn.recv()
        for event in stream(100)[1:]:
            await conn.send_event(event)

    async with serve_peer(script) as peer:
        client = open_client(peer.uri, inbox=inbox)
        client.on("N", slow)
        client.on("N", lambda event: others.append(event.data))
        async with client:
            with anyio.fail_after(60):
                while not seen:
                    await anyio.sleep(0.001)
                await client.send(Number())
                await peer.join()
                await client.flush()  # the slow handler does not stop the reader
                before = client.statistics().dropped
                go.set()
                while 99 not in seen or 99 not in others:
                    await anyio.sleep(0.001)
            assert client.statistics().dropped == before
    assert (seen, others) == (seen_slowly, seen_after_it)


async def test_requests_do_not_replace_each_other_nor_do_their_answers(open_client):
    asked = [
        {"etype": "ASK", "data": n, "rtype": "ANSWER", "uuid": str(n), "key": "k"}
        for n in range(100)
    ]
    found = []

    async def script(conn):
        await on_go(asked)(conn)
        while len(found) < 100:
            found.append((await conn.recv_event())["value"])

    async with serve_peer(script) as peer:
        client = open_client(peer.uri, inbox=Latest(), outbox=Latest())

        go = anyio.Event()

        @client.answer("ASK")
        async def answer(event):
            await go.wait()  # so that some requests wait until others have been answered
            return event.data

        async with client:
            await client.send(Number())
            with anyio.fail_after(60):
                while client.statistics().received < 100:
                    await anyio.sleep(0.001)
                go.set()
                await peer.join()
    assert sorted(found) == list(range(100))


# ---- the same policies on one link after another


@pytest.mark.parametrize("policy", [DropOldest(2), Latest()], ids=NAMES[:2])
async def test_what_waits_in_a_gap_has_the_policy_too(open_client, policy):
    async with serve_peer() as peer:
        async with open_client(peer.uri, outbox=policy, inbox=policy, reconnect=True) as client:
            changes = client.link_changes()
            await (await peer.connection()).abort()
            await anext(changes)
            assert not client.connected
            with pytest.raises(Stale):
                client.latest("N")  # the first question
            flushed = []

            async def flush():
                await client.flush()
                flushed.append(True)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(flush)
                await anyio.wait_all_tasks_blocked()
                for n in range(100):
                    client.send @ Number(value=n)
                with anyio.fail_after(60):
                    await anext(changes)
            assert flushed == [True]
            await client.flush()
            conn = await peer.connection(1)
            kept = [99] if policy == Latest() else [98, 99]
            assert numbers(conn.messages) == kept
            assert client.statistics().dropped == 100 - len(kept)
            await conn.send_event({"etype": "N", "data": 1})
            assert (await client.recv(timeout=60)).data == 1
            assert client.latest("N", max_age=5).data == 1


# ---- staleness


async def test_latest(open_client):
    async with serve_peer(on_go(stream(10))) as peer, open_client(peer.uri) as client:
        with pytest.raises(Stale, match="no N has been received"):
            client.latest("N")
        await read_all(client, peer)
        assert client.latest("N", max_age=10).data == 9
        assert [event.data for event in await client.recv_many()] == list(range(10))
        await anyio.sleep(0.01)
        with pytest.raises(Stale, match=r"newest N is \d+\.\d+ s old, over 0\.005 s"):
            client.latest("N", max_age=0.005)
        with pytest.raises(TimeoutError):
            client.latest("N", max_age=0.005)


async def test_latest_without_a_question_before(open_client):
    async with serve_peer(on_go(stream(10))) as peer, open_client(peer.uri) as client:
        await read_all(client, peer)
        assert len(await client.recv_many()) == 10
        assert client.latest("N", max_age=10).data == 9


async def test_a_lease_is_pushed_by_events_and_runs_out_without(open_client):
    pushed = anyio.Event()

    async def script(conn):
        await conn.accept()
        await pushed.wait()
        await conn.send_event({"etype": "N", "data": 1})

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        with anyio.fail_after(60):
            with pytest.raises(Stale, match=r"no N came within 0\.2 s; the newest was read"):
                with client.lease("N", max_age=0.2) as lease:
                    first = lease.scope.deadline
                    await anyio.sleep(0.01)  # uvloop's clock counts milliseconds
                    pushed.set()
                    while lease.scope.deadline == first:
                        await anyio.sleep(0.001)
                    assert first < lease.scope.deadline <= first + 0.2
                    await anyio.sleep_forever()
        assert lease.scope.cancelled_caught
        assert client.connected


async def test_a_lease_runs_out_when_the_connection_is_lost(open_client):
    async def script(conn):
        await conn.accept()
        for _ in range(20):
            await conn.send_event({"etype": "N", "data": 1})
            await anyio.sleep(0.01)
        await conn.abort()

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        with anyio.fail_after(60):
            with pytest.raises(Stale):
                with client.lease("N", max_age=0.15):
                    await anyio.sleep_forever()
        assert not client.connected


async def test_nested_leases_and_one_that_is_left_in_time(open_client):
    async with serve_peer(script_of(stream(1))) as peer, open_client(peer.uri) as client:
        with client.lease("N", max_age=10):
            with client.lease("N", max_age=10):
                await client.recv()
            with pytest.raises(Stale):
                with client.lease("N", max_age=0.01):
                    with client.lease("M", max_age=10):
                        await anyio.sleep_forever()
        assert client._freshness._leases == {}


async def test_who_cancels_the_scope_of_a_lease_gets_no_stale(open_client):
    async with serve_peer() as peer, open_client(peer.uri) as client:
        with client.lease("N", max_age=10) as lease:
            lease.scope.cancel()
            await anyio.sleep_forever()
        with anyio.move_on_after(0.01) as outer:
            with client.lease("N", max_age=10):
                await anyio.sleep_forever()
        assert outer.cancelled_caught
        with pytest.raises(ZeroDivisionError):
            with client.lease("N", max_age=0.01):
                try:
                    await anyio.sleep_forever()
                finally:
                    raise ZeroDivisionError


async def test_staleness_after_leaving(open_client):
    async with serve_peer(script_of(stream(1))) as peer:
        async with open_client(peer.uri) as client:
            await client.recv()
            assert client.latest("N").data == 0
        assert client.latest("N", max_age=10).data == 0
        with pytest.raises(ClientClosed):
            await client.recv()
        with pytest.raises(Stale):
            with client.lease("N", max_age=0.01):
                await anyio.sleep_forever()


async def test_a_fifo_still_stops_the_reader(open_client):
    script = on_go(stream(1000, pad=bytes(20_000)))
    async with serve_peer(script) as peer, open_client(peer.uri, inbox=Fifo(5)) as client:
        await go(client)
        await client.recv()
        await anyio.sleep(0.05)
        assert client.statistics().dropped == 0
        assert client.statistics().received < 1000
