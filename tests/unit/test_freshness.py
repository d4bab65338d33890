"""Staleness: `latest` and `lease`, to the exact virtual second."""

from __future__ import annotations

import gc
import math
import weakref
from contextlib import asynccontextmanager
from functools import partial

import msgpack
import pytest
import trio

from tests.scripted_server import memory_peer
from vuer_trio import Discard, DropOldest, Fifo, Latest, Stale, VuerClient, open_vuer_client
from vuer_trio._client.connecting import received
from vuer_trio._connection.connection import Connection
from vuer_trio._connection.freshness import _BYTES, _READS, Freshness

pytestmark = pytest.mark.trio
each_transport = pytest.mark.parametrize("transport", ["websockets", "wsproto", "trio-websocket"])


async def mute(conn):
    conn.auto_pong = conn.answer_close = False
    await conn.accept()


@asynccontextmanager
async def connected(transport="websockets", script=mute, **options):
    options = {"heartbeat": math.inf, "close_timeout": 0, **options}
    async with memory_peer(script) as peer:
        client = open_vuer_client(peer.uri, stream=peer.stream, transport=transport, **options)
        async with client:
            await trio.testing.wait_all_tasks_blocked()
            yield client, peer.conn


async def send(conn, etype, data=None, **extra):
    """Send, and wait until it has been read."""
    await conn.send_event({"etype": etype, "data": data, **extra})
    await trio.testing.wait_all_tasks_blocked()


def poses(times, etype="POSE", then=None):
    """A script that sends events at these times, numbered."""

    async def script(conn):
        await mute(conn)
        began = trio.current_time()
        for n, time in enumerate(times):
            await trio.sleep_until(began + time)
            await conn.send_event({"etype": etype, "data": n})
        if then is not None:
            await then(conn)

    return script


async def expires(lease):
    """When a lease on nothing but events runs out, from now."""
    began = trio.current_time()
    with pytest.raises(Stale):
        with lease:
            await trio.sleep_forever()
    return round(trio.current_time() - began, 6)


# ---- latest


@each_transport
async def test_latest_is_the_newest_of_a_type_whoever_received_it(autojump_clock, transport):
    async with connected(transport) as (client, conn):
        with pytest.raises(Stale, match="no POSE has been received"):
            client.latest("POSE")
        await send(conn, "POSE", 1)
        await send(conn, "OTHER", 2)
        assert client.latest("POSE").data == 1
        assert client.latest("OTHER").data == 2
        await send(conn, "POSE", 3)
        newest = client.latest("POSE")
        assert newest.data == 3
        assert client.latest("POSE") is newest
        received = await client.recv_many()
        assert [event.data for event in received] == [1, 2, 3]
        assert received[2] is newest
        assert client.latest("POSE") is newest, "to receive it takes nothing away"


@each_transport
async def test_latest_knows_the_age_to_the_second(autojump_clock, transport):
    async with connected(transport) as (client, conn):
        with pytest.raises(Stale):
            client.latest("POSE")
        await send(conn, "POSE", 1)
        await trio.sleep(0.5)
        assert client.latest("POSE", max_age=0.5).data == 1
        await trio.sleep(0.001)
        with pytest.raises(Stale, match=r"newest POSE is 0\.501 s old, over 0\.5 s"):
            client.latest("POSE", max_age=0.5)
        assert client.latest("POSE", max_age=0.6).data == 1
        assert client.latest("POSE").data == 1
        await send(conn, "POSE", 2)
        assert client.latest("POSE", max_age=0).data == 2


@each_transport
@pytest.mark.parametrize("how", ["unread", "received", "with handlers"])
async def test_the_first_question_is_answered_from_what_came_before_it(
    autojump_clock, transport, how
):
    async with connected(transport) as (client, conn):
        if how == "with handlers":
            client.on("OTHER", print)
        await send(conn, "POSE", 1)
        await trio.sleep(1)
        await send(conn, "POSE", 2)
        await conn.send(b"\xc1 is no message")
        await conn.send_text("nor is this")
        await trio.sleep(1)
        await send(conn, "NEWER")
        if how == "received":
            assert [event.data for event in await client.recv_many(2)] == [1, 2]
        with pytest.raises(Stale, match="is 1 s old"):
            client.latest("POSE", max_age=0.9)
        assert client.latest("POSE", max_age=1).data == 2
        with pytest.raises(Stale, match="no OTHER"):
            client.latest("OTHER")


async def test_click_and_on_click_are_one_type(autojump_clock):
    async with connected() as (client, conn):
        await send(conn, "ON_CLICK", 1)
        assert client.latest("CLICK").data == client.latest("ON_CLICK").data == 1
        with client.lease("CLICK", max_age=1) as lease:
            await trio.sleep(0.5)
            await send(conn, "ON_CLICK", 2)
            assert lease.scope.deadline == trio.current_time() + 1
            assert client.latest("CLICK").data == 2
            await trio.sleep(0.5)
            await send(conn, "CLICK", 3)
            assert lease.scope.deadline == trio.current_time() + 1
        assert client.latest("CLICK").data == client.latest("ON_CLICK").data == 3


@pytest.mark.parametrize("inbox", [Fifo(20), DropOldest(1), Latest(), Discard()], ids=repr)
async def test_they_see_an_event_when_it_is_read_whatever_becomes_of_it(autojump_clock, inbox):
    async with connected(inbox=inbox) as (client, conn):
        client.answer("ASK", lambda event: 1)
        with pytest.raises(Stale):
            client.latest("POSE")
        for n in range(10):
            await send(conn, "POSE", n)
            assert client.latest("POSE", max_age=0).data == n
        await send(conn, "ASK", "an answered one too", rtype="ANSWER")
        assert client.latest("ASK").data == "an answered one too"


async def test_what_a_full_inbox_keeps_from_being_read_is_not_seen(autojump_clock):
    async with connected(inbox=Fifo(1)) as (client, conn):
        with client.lease("POSE", max_age=5):
            await send(conn, "POSE", 0)
            await client.recv()
            await send(conn, "POSE", 1)  # the reader stops
            await trio.sleep(1)
            await send(conn, "POSE", 2)
            assert client.latest("POSE").data == 1
            await trio.sleep(1)
            await client.recv()
            await trio.testing.wait_all_tasks_blocked()
            assert client.latest("POSE", max_age=0).data == 2, "its age counts from the reading"


async def test_latest_outlives_the_connection_and_goes_stale(autojump_clock):
    async def script(conn):
        await poses([0])(conn)
        await conn.close()

    async with connected(script=script) as (client, _):
        await client.wait_closed()
        assert client.latest("POSE").data == 0
        await trio.sleep(2)
        assert client.latest("POSE", max_age=2).data == 0
        with pytest.raises(Stale):
            client.latest("POSE", max_age=1.9)


async def test_questions_before_a_connection(autojump_clock):
    client = VuerClient("ws://localhost:1")
    with pytest.raises(Stale, match="no POSE has been received"):
        client.latest("POSE", max_age=1)
    assert await expires(client.lease("POSE", max_age=3)) == 3


async def test_what_another_loop_has_read_is_forgotten():
    async def use(asks):
        async with memory_peer() as peer:
            client = clients[0] if clients else open_vuer_client(transport="websockets")
            clients[:] = [client]
            client._options = VuerClient(
                peer.uri, stream=peer.stream, transport="websockets", close_timeout=0
            )._options
            async with client:
                await trio.testing.wait_all_tasks_blocked()
                if asks:
                    with pytest.raises(Stale, match="no POSE has been received"):
                        client.latest("POSE")
                await send(peer.conn, "POSE", 1)
                if asks:
                    assert client.latest("POSE", max_age=1).data == 1

    clients = []
    for asks in (False, True, True):
        clock = trio.testing.MockClock(autojump_threshold=0)
        await trio.to_thread.run_sync(partial(trio.run, use, asks, clock=clock))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda client: client.latest(3), TypeError),
        (lambda client: client.latest("A", max_age="soon"), TypeError),
        (lambda client: client.latest("A", max_age=True), TypeError),
        (lambda client: client.latest("A", max_age=-1), ValueError),
        (lambda client: client.latest("A", max_age=math.nan), ValueError),
        (lambda client: client.lease(3, max_age=1), TypeError),
        (lambda client: client.lease("A", max_age=None), TypeError),
        (lambda client: client.lease("A", max_age=-1), ValueError),
        (lambda client: client.lease("A"), TypeError),
        (lambda client: client.lease("A", 1), TypeError),
    ],
)
async def test_arguments_that_can_not_be_are_refused(call, error):
    with pytest.raises(error):
        call(VuerClient("ws://localhost:1"))


# ---- a lease


@each_transport
async def test_a_lease_lasts_as_long_as_events_come_in_time(autojump_clock, transport):
    times = [0.5, 1.4, 2.3, 3.2]
    async with connected(transport, poses(times)) as (client, _):
        assert await expires(client.lease("POSE", max_age=1)) == 4.2


@each_transport
async def test_other_events_do_not_count(autojump_clock, transport):
    async with connected(transport, poses([0.5, 0.9], "OTHER")) as (client, _):
        assert await expires(client.lease("POSE", max_age=1)) == 1


@pytest.mark.parametrize(("waited", "lasts"), [(0, 1), (0.3, 0.7), (0.999, 0.001), (1, 1), (5, 1)])
async def test_it_begins_with_the_newest_event_if_that_is_fresh(autojump_clock, waited, lasts):
    async with connected(script=poses([0])) as (client, _):
        await trio.sleep(waited)
        assert await expires(client.lease("POSE", max_age=1)) == lasts


async def test_what_it_says(autojump_clock):
    async with connected(script=poses([2])) as (client, _):
        with pytest.raises(Stale, match=r"no POSE came within 1 s; there was none before"):
            with client.lease("POSE", max_age=1):
                await trio.sleep_forever()
        with pytest.raises(Stale, match=r"no POSE came within 1\.5 s; .* read 1\.5 s ago") as error:
            with client.lease("POSE", max_age=1.5):
                await trio.sleep_forever()
        assert error.value.__cause__ is None
        assert error.value.__suppress_context__
        assert isinstance(error.value, trio.TooSlowError)


@each_transport
@pytest.mark.parametrize("end", ["close", "abort", "end_tcp", "silence"])
async def test_it_runs_out_when_the_connection_ends(autojump_clock, transport, end):
    async def then(conn):
        if end != "silence":
            await getattr(conn, end)()

    async with connected(transport, poses([0.4, 0.8], then=then)) as (client, _):
        assert await expires(client.lease("POSE", max_age=1)) == 1.8
        assert client.connected == (end == "silence")


async def test_it_runs_out_under_a_reader_that_a_full_inbox_stops(autojump_clock):
    async with connected(script=poses([n / 10 for n in range(100)]), inbox=Fifo(3)) as (client, _):
        assert (await client.recv()).data == 0
        # Those at 0.1, 0.2 and 0.3 fill it.
        assert await expires(client.lease("POSE", max_age=1)) == 1.3


@pytest.mark.parametrize("inbox", [DropOldest(3), Latest(), Discard()], ids=repr)
async def test_it_goes_on_under_an_inbox_that_drops(autojump_clock, inbox):
    script = poses([n / 10 for n in range(100)])
    async with connected(script=script, inbox=inbox) as (client, _):
        assert await expires(client.lease("POSE", max_age=1)) == 10.9


async def test_a_lease_that_has_expired_stays_so(autojump_clock):
    async with connected(script=poses([0.5, 1.6, 2])) as (client, _):
        with pytest.raises(Stale, match=r"read 2\.5 s ago"):
            with client.lease("POSE", max_age=1) as lease:
                try:
                    await trio.sleep_forever()
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.sleep(1.5)
                    assert client.latest("POSE", max_age=1).data == 2
                    assert lease.scope.cancel_called


async def test_a_block_that_does_not_wait_ends_without_an_error_as_under_fail_after(
    autojump_clock,
):
    async with connected() as (client, _):
        with client.lease("POSE", max_age=0):
            pass
        with client.lease("POSE", max_age=1):
            with trio.CancelScope(shield=True):
                await trio.sleep(5)


async def test_what_the_body_raises_goes_first(autojump_clock):
    async with connected() as (client, _):
        with pytest.raises(ZeroDivisionError):
            with client.lease("POSE", max_age=1):
                raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError):
            with client.lease("POSE", max_age=1):
                try:
                    await trio.sleep_forever()
                finally:
                    raise ZeroDivisionError
        with pytest.raises(ExceptionGroup) as group:
            with client.lease("POSE", max_age=1):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    try:
                        await trio.sleep_forever()
                    finally:
                        raise ZeroDivisionError
        assert group.group_contains(ZeroDivisionError)
        assert client._freshness._leases == {}


async def test_to_cancel_the_scope_yourself_is_no_staleness(autojump_clock):
    async with connected(script=poses([0.5])) as (client, _):
        with client.lease("POSE", max_age=1) as lease:
            lease.scope.cancel()
            await trio.sleep_forever()
        assert lease.scope.cancelled_caught


async def test_a_cancellation_from_outside_passes_through(autojump_clock):
    async with connected() as (client, _):
        with trio.move_on_after(1) as outer:
            with client.lease("POSE", max_age=1):
                await trio.sleep_forever()
        assert outer.cancelled_caught
        with trio.move_on_after(0.5) as outer:
            with client.lease("POSE", max_age=1):
                await trio.sleep_forever()
        assert outer.cancelled_caught


async def test_leases_may_be_nested_and_the_tighter_one_expires(autojump_clock):
    async with connected(script=poses([0.5, 1])) as (client, _):
        began = trio.current_time()
        with client.lease("POSE", max_age=9) as outer:
            with pytest.raises(Stale, match="within 2 s"):
                with client.lease("POSE", max_age=2):
                    await trio.sleep_forever()
            assert trio.current_time() - began == pytest.approx(3)
            assert outer.scope.deadline - began == pytest.approx(10)
        with pytest.raises(Stale, match="within 3 s"):
            with client.lease("POSE", max_age=3):
                with client.lease("POSE", max_age=9):
                    await trio.sleep_forever()
        assert trio.current_time() - began == pytest.approx(4)
        assert client._freshness._leases == {}


async def test_leases_in_many_tasks_do_not_know_each_other(autojump_clock):
    ended = {}

    async def hold(n):
        ended[n] = await expires(client.lease("POSE" if n % 2 else "OTHER", max_age=n))

    async with connected(script=poses([0.5, 1])) as (client, _):
        async with trio.open_nursery() as nursery:
            for n in range(1, 7):
                nursery.start_soon(hold, n)
    assert ended == {1: 2, 2: 2, 3: 4, 4: 4, 5: 6, 6: 6}
    assert client._freshness._leases == {}


async def test_a_lease_is_for_one_block_at_a_time_and_may_be_used_again(autojump_clock):
    async with connected() as (client, _):
        lease = client.lease("POSE", max_age=1)
        with lease:
            with pytest.raises(RuntimeError, match="already in use"):
                lease.__enter__()
        assert await expires(lease) == 1
        assert await expires(lease) == 1
        assert client._freshness._leases == {}
        assert "POSE, 1 s" in repr(lease)


async def test_a_lease_may_last_for_ever(autojump_clock):
    async with connected(script=poses([0.5])) as (client, _):
        with trio.move_on_after(1e6) as scope, client.lease("POSE", max_age=math.inf):
            await trio.sleep_forever()
        assert scope.cancelled_caught


async def test_nothing_runs_while_a_lease_waits(autojump_clock):
    """Neither tasks nor timers but the one deadline: the clock jumps over all the time."""
    ticks = 0

    class Count(trio.abc.Instrument):
        def before_io_wait(self, timeout):
            nonlocal ticks
            ticks += timeout > 0

    async with connected() as (client, _):
        counter = Count()
        trio.lowlevel.add_instrument(counter)
        assert await expires(client.lease("POSE", max_age=1000)) == 1000
        trio.lowlevel.remove_instrument(counter)
    assert ticks <= 3


# ---- what it costs, and how much it keeps


async def test_nothing_is_decoded_early_for_those_who_do_not_ask(autojump_clock, monkeypatch):
    decoded = []

    def decode(item):
        decoded.append(item)
        return received(item)

    monkeypatch.setattr("vuer_trio._client.client.received", decode)
    async with connected() as (client, conn):
        for n in range(5):
            await send(conn, "POSE", n)
        assert decoded == []
        assert (await client.recv()).data == 0
        assert len(decoded) == 1
        client.latest("POSE")
        before = len(decoded)
        await send(conn, "POSE", 9)
        assert len(decoded) == before + 1
        assert client.latest("POSE").data == 9


async def test_the_look_back_is_bounded_by_reads_and_by_bytes():
    fresh = Freshness(received)
    for n in range(1000):
        fresh.note([msgpack.packb({"etype": "A", "data": n})], at=n)
    assert len(fresh._recent) == _READS
    for n in range(1000):
        fresh.note([bytes(10_000)], at=n)
        assert sum(size for _, size, _ in fresh._recent) == fresh.recent_bytes <= _BYTES
    assert len(fresh._recent) == _BYTES // 10_000
    fresh.note([bytes(100), bytes(_BYTES)], at=0)
    assert len(fresh._recent) == 0, "what is older may not pass for the newest"
    fresh.begin()
    assert fresh.recent_bytes == 0


@pytest.mark.no_cover
async def test_what_is_kept_is_bounded_under_a_peer_that_invents_types(autojump_clock):
    async def script(conn):
        await mute(conn)
        await trio.sleep(1)
        for n in range(3000):
            await conn.send_event({"etype": f"T{n}", "data": n})

    async with connected(script=script, inbox=Discard()) as (client, _):
        with pytest.raises(Stale):
            client.latest("NONE")
        await trio.sleep(2)
        assert client.latest("T2999").data == 2999
        assert len(client._freshness._newest.items) == 1024
        with pytest.raises(Stale):
            client.latest("T100")


async def test_a_connection_that_has_ended_is_not_held(autojump_clock, monkeypatch):
    connections = []
    original = Connection.__init__

    def note(self, *args, **kwargs):
        original(self, *args, **kwargs)
        connections.append(weakref.ref(self))

    monkeypatch.setattr(Connection, "__init__", note)
    async with connected() as (client, conn):
        with client.lease("POSE", max_age=1):
            await send(conn, "POSE", 1)
        client.latest("POSE")
    del client, conn
    gc.collect()
    assert [ref() for ref in connections] == [None]
