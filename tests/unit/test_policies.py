"""Delivery policies: what each box keeps, its accounts, and exact rates in virtual time."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from contextlib import asynccontextmanager

import msgpack
import pytest
import trio

from tests.scripted_server import memory_peer
from tests.stream_wrappers import ThrottledStream
from vuer_trio import (
    Discard,
    DropOldest,
    Fifo,
    Latest,
    OutboxFull,
    VuerClient,
    open_vuer_client,
)
from vuer_trio._connection.backoff import Backoff
from vuer_trio._connection.lossy_queue import Keyed
from vuer_trio._runtime import runtime
from vuer_trio._websocket.transport import Ping
from vuer_trio.events import ClientEvent

NEVER_WAIT = [DropOldest, Latest, Discard]


def keyed(key, payload=b"x"):
    item = Keyed(payload)
    item.key = key
    return item


def accounts(box):
    return box.count, box.bytes


# ---- the values


def test_their_defaults_are_documented():
    mib = 1 << 20
    assert (Fifo().capacity, Fifo().max_bytes) == (1024, 64 * mib)
    assert (DropOldest().capacity, DropOldest().max_bytes) == (1024, 64 * mib)
    assert (Latest().key, Latest().max_keys, Latest().max_bytes) == (None, 1024, 64 * mib)
    assert Latest().in_flight == "auto"
    assert Discard() == Discard()


@pytest.mark.parametrize("policy", [Fifo(), DropOldest(), Latest(), Discard()], ids=repr)
def test_a_policy_is_a_value(policy):
    with pytest.raises((AttributeError, TypeError)):  # a TypeError for one without fields
        policy.max_bytes = 3
    assert hash(policy) == hash(type(policy)())
    client = VuerClient(inbox=policy, outbox=policy)
    assert client.statistics().dropped == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: DropOldest(0),
        lambda: DropOldest(max_bytes=0),
        lambda: Latest(max_keys=0),
        lambda: Latest(max_bytes=-1),
    ],
)
def test_a_policy_without_room_for_a_message_is_refused(make):
    with pytest.raises(ValueError, match="must be at least 1, got"):
        make()


def test_a_key_that_can_not_be_called_is_refused():
    with pytest.raises(TypeError, match="key must be a function of an event, or None, got 'pose'"):
        Latest(key="pose")


@pytest.mark.parametrize("in_flight", ["auto", None, 1, 100_000])
@pytest.mark.parametrize("key", [None, len])
def test_its_outbox_knows_how_much_may_be_on_its_way(in_flight, key):
    policy = Latest(key, in_flight=in_flight)
    assert policy.open_outbox(None).in_flight == in_flight
    assert policy.open(None).in_flight is None  # an inbox
    assert all(other.open_outbox(None).in_flight is None for other in (Fifo(), DropOldest()))


@pytest.mark.parametrize("option", ["inbox", "outbox"])
@pytest.mark.parametrize("wrong", [1024, None, DropOldest, "latest"])
def test_an_option_that_is_no_policy_is_refused(option, wrong):
    with pytest.raises(TypeError, match=f"{option} must be a policy, got .*use Fifo"):
        VuerClient(**{option: wrong})


@pytest.mark.parametrize("policy", [DropOldest(), Latest(), Discard()], ids=repr)
def test_replay_needs_an_outbox_that_keeps_everything(policy):
    with pytest.raises(ValueError, match=r"replay=True.*outbox=Fifo"):
        VuerClient(outbox=policy, reconnect=Backoff(replay=True))
    VuerClient(outbox=policy, reconnect=True)
    VuerClient(inbox=policy, reconnect=Backoff(replay=True))


# ---- DropOldest


def test_drop_oldest_keeps_the_newest_in_order():
    box = DropOldest(3).open(None)
    for n in range(10):
        box.put(b"%d" % n)
    assert list(box.items) == [b"7", b"8", b"9"]
    assert (box.dropped, box.dropped_since) == (7, 7)
    assert accounts(box) == (3, 3)


def test_drop_oldest_keeps_within_its_bytes_but_never_drops_the_newest():
    box = DropOldest(10, max_bytes=100).open(None)
    for item in (b"a" * 60, b"b" * 40):
        box.put(item)
    assert box.dropped == 0, "exactly the limit is not over it"
    box.put(b"c")
    assert (list(box.items), box.bytes) == ([b"b" * 40, b"c"], 41)
    box.extend([b"d" * 500])
    assert (list(box.items), box.bytes) == ([b"d" * 500], 500)
    assert box.dropped == 3


def test_what_is_being_written_is_neither_dropped_nor_counted_against_the_bounds():
    box = DropOldest(2, max_bytes=100).open(None)
    box.extend([b"a" * 50, b"b" * 50])
    batch = box.take(1000)
    for item in (b"c" * 50, b"d" * 50, b"e" * 50):
        box.put(item)
    assert batch == [b"a" * 50, b"b" * 50]
    assert list(box.items) == [b"d" * 50, b"e" * 50]
    assert accounts(box) == (4, 200)
    box.written(batch)
    assert accounts(box) == (2, 100)
    assert box.dropped == 1


# ---- Latest


def test_latest_keeps_the_newest_of_each_key_and_moves_it_to_the_end():
    box = Latest().open(None)
    first, second, third = keyed("a", b"1"), keyed("b", b"22"), keyed("a", b"333")
    box.extend([first, second, third])
    assert [bytes(item) for item in box.items] == [b"22", b"333"]
    assert (box.dropped, box.dropped_since) == (1, 1)
    assert accounts(box) == (2, 5)
    assert [bytes(box.pop()), bytes(box.pop())] == [b"22", b"333"]
    with pytest.raises(IndexError):
        box.pop()
    assert accounts(box) == (0, 0)


def test_latest_drops_the_oldest_key_over_max_keys_and_over_max_bytes():
    box = Latest(max_keys=2).open(None)
    box.extend([keyed("a"), keyed("b"), keyed("a"), keyed("c")])
    assert [item.key for item in box.items] == ["a", "c"], "b was the oldest by then"
    assert box.dropped == 2
    box = Latest(max_bytes=100).open(None)
    box.extend([keyed("a", b"x" * 60), keyed("b", b"x" * 60)])
    assert [item.key for item in box.items] == ["b"]
    box.put(keyed("c", b"x" * 1000))
    assert [item.key for item in box.items] == ["c"], "the newest is kept, whatever its size"
    assert box.dropped == 2


def test_items_without_a_key_do_not_replace_each_other_but_none_is_a_key():
    box = Latest(max_keys=3).open(None)
    for n in range(5):
        box.put(b"%d" % n)
    assert list(box.items) == [b"2", b"3", b"4"]
    box = Latest().open(None)
    box.extend([keyed(None, b"1"), keyed(None, b"2")])
    assert list(box.items) == [b"2"]


def test_what_is_being_written_is_not_replaced():
    box = Latest().open(None)
    box.put(keyed("a", b"1"))
    batch = box.take(1000)
    box.put(keyed("a", b"2"))
    box.put(keyed("a", b"3"))
    assert (batch, list(box.items), box.dropped) == ([b"1"], [b"3"], 1)
    box.written(batch)
    assert accounts(box) == (1, 1)


# ---- Discard


def test_discard_counts_and_keeps_nothing():
    box = Discard().open(None)
    box.put(b"1")
    box.extend([b"2", b"3"])
    assert (len(box.items), box.dropped, accounts(box)) == (0, 3, (0, 0))
    box.idle_writer = box.write_through = lambda item: pytest.fail("written past the box")
    assert box.write_through is None


# ---- all that never wait


def fill(box, count=50, size=10):
    for n in range(count):
        box.put(keyed(n, b"x" * size))


@pytest.mark.parametrize("policy", [DropOldest(2), Latest(max_keys=2), Discard()], ids=repr)
def test_it_is_never_full_and_always_has_room(policy):
    for has_consumer in (True, False):
        box = policy.open(None, has_consumer=has_consumer)
        for _ in range(20):
            assert box.has_room
            assert not box.full
            box.put(keyed("k", b"x" * 1000))
            box.extend([keyed("k", b"x" * 1000)])
            assert box.offer(keyed("k", b"x" * 1000))
        assert box.dropped + len(box.items) == 60


@pytest.mark.parametrize("policy", [DropOldest(1), Latest(max_keys=1), Discard()], ids=repr)
def test_a_ping_is_never_dropped_and_stays_in_its_place(policy):
    box = policy.open(None)
    box.put(Ping(b"1"))
    fill(box)
    box.put(Ping(b"2"))
    box.put(Ping(b"2"))
    fill(box)
    box.put_first([Ping(b"0")])
    pings = [item for item in box.items if type(item) is Ping]
    assert pings == [b"0", b"1", b"2", b"2"]
    assert len(box.items) == 4 + (policy != Discard())
    assert box.dropped == 100 - (policy != Discard())
    if policy != Discard():
        assert type(list(box.items)[-1]) is Keyed, "the newest message came behind the pings"
    batch = box.take(1000)
    assert [item for item in batch if type(item) is Ping] == pings
    box.written(batch)
    assert accounts(box) == (0, 0)
    fill(box)
    assert len(box.items) == (policy != Discard()), "pings that have gone count no more"


@pytest.mark.trio
@pytest.mark.parametrize("policy", [DropOldest(1), Latest(max_keys=1), Discard()], ids=repr)
async def test_a_slot_is_there_at_once_and_may_be_given_back(policy):
    box = policy.open(runtime())
    fill(box)
    with trio.fail_after(0):  # a wait would end here
        await box.reserve(5)
        await box.reserve()
    box.give_back()
    box.put_reserved([keyed("new", b"12345")], 5)
    assert [bytes(i) for i in box.items] == ([] if policy == Discard() else [b"12345"])
    box.clear()
    assert accounts(box) == (0, 0)
    assert box.dropped == 50 + (policy == Discard())


class Model:
    """The same policies, written for clarity."""

    def __init__(self, policy):
        self.policy = policy
        self.items = []
        self.dropped = 0

    def put(self, item):
        if type(item) is Ping:
            self.items.append(item)
            return
        if isinstance(self.policy, Discard):
            self.dropped += 1
            return
        if isinstance(self.policy, Latest):
            kept = [i for i in self.items if type(i) is Ping or i.key != item.key]
            self.dropped += len(self.items) - len(kept)
            self.items = kept
        self.items.append(item)
        while True:
            messages = [i for i in self.items if type(i) is not Ping]
            over = sum(map(len, messages)) > self.policy.max_bytes
            if len(messages) < 2 or not (over or len(messages) > self.policy.capacity):
                break
            self.items.remove(messages[0])
            self.dropped += 1


@pytest.mark.parametrize(
    "policy",
    [
        DropOldest(1),
        DropOldest(5, max_bytes=60),
        Latest(max_keys=3),
        Latest(max_bytes=50),
        Discard(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("seed", range(10))
def test_it_does_what_its_model_does_and_its_accounts_never_drift(policy, seed):
    rng = random.Random(seed)
    box, model, batches, promised = policy.open(None), Model(policy), [], 0
    for serial in range(400):
        # payloads of their own, so that `remove` of the model finds the right one
        item = keyed(rng.randrange(6), b"%d" % serial + b"x" * rng.choice((0, 5, 40, 90)))
        match rng.choice(("put", "put", "put", "extend", "ping", "take", "written", "permit")):
            case "put":
                box.put(item)
                model.put(item)
            case "extend":
                box.extend([item])
                model.put(item)
            case "ping":
                ping = Ping(b"p%d" % serial)
                box.put(ping)
                model.put(ping)
            case "take":
                batch = box.take(rng.choice((1, 50, 10_000)))
                assert batch == model.items[: len(batch)]
                del model.items[: len(batch)]
                batches.append(batch)
            case "written" if batches:
                box.written(batches.pop(0))
            case "permit" if promised:
                promised -= 1
                box.put_reserved([item])
                model.put(item)
            case "permit":
                promised += 1
                with pytest.raises(StopIteration):  # it never waits
                    box.reserve().send(None)
        assert list(box.items) == model.items
        assert box.dropped == model.dropped
        written = [item for batch in batches for item in batch]
        assert box.count == len(model.items) + len(written) + promised
        assert box.bytes == sum(map(len, model.items)) + sum(map(len, written))


# ---- rates, in virtual time

each_transport = pytest.mark.parametrize("transport", ["websockets", "wsproto", "trio-websocket"])


@asynccontextmanager
async def throttled(transport, seconds, **options):
    """A client on a stream each write of which takes some seconds, from now on."""
    async with memory_peer() as peer:
        stream = ThrottledStream(peer.stream)
        client = open_vuer_client(peer.uri, stream=stream, transport=transport, **options)
        async with client:
            await peer.conn.wait_until(lambda: peer.conn.messages)
            await trio.testing.wait_all_tasks_blocked()
            stream.seconds = seconds
            yield client, peer.conn
            stream.seconds = 0


def values(conn):
    events = map(msgpack.unpackb, conn.messages)
    return [event["value"] for event in events if event["etype"] != "INIT"]


def pose(n, **extra):
    return ClientEvent(etype="POSE", value=n, **extra)


class Age:
    """Notes what a peer gets, and how old it is then."""

    def __init__(self, conn, period):
        self.conn, self.period, self.ages = conn, period, []

    async def watch(self, began):
        await self.conn.recv()  # INIT
        while True:
            event = await self.conn.recv_event()
            made = began + event["value"] * self.period
            self.ages.append(round(trio.current_time() - made, 6))


@pytest.mark.trio
@each_transport
@pytest.mark.parametrize("form", ["@", "await", "permit"])
async def test_a_pose_stream_stays_within_one_message_of_the_newest(
    autojump_clock, transport, form
):
    """1,000 poses a second, on a stream that takes ten messages a second.

    When a write ends, at 100 ms after the one before, the newest pose is 0.5 ms old. It arrives
    100 ms later, with none but the one in flight between it and the newest.
    """
    async with throttled(transport, 0.1, outbox=Latest(), heartbeat=1e9) as (client, conn):
        age = Age(conn, 0.001)
        async with trio.open_nursery() as nursery:
            began = trio.current_time()
            nursery.start_soon(age.watch, began)
            for n in range(2000):
                await trio.sleep_until(began + n * 0.001)
                if form == "@":
                    client.send @ pose(n)
                elif form == "await":
                    await client.send(pose(n))
                else:
                    (await client.send) @ pose(n)
                assert trio.current_time() == pytest.approx(began + n * 0.001), "it waited"
                assert client.statistics().outbox <= 2, "one that is written, and the newest"
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert len(age.ages) == 21  # at 0.1, 0.2 ... 2.0, and the last one
        assert age.ages[0] == 0.1
        assert max(age.ages) <= 0.2, "never older than two writes"
        assert max(age.ages[1:-1]) <= 0.101, "and on the way only as long as its own write takes"
        assert values(conn)[-1] == 1999
        statistics = client.statistics()
        assert statistics.sent == 21
        assert statistics.dropped == 2000 - 21


@pytest.mark.trio
@each_transport
async def test_two_kinds_share_a_slow_stream_and_each_stays_new(autojump_clock, transport):
    outbox = Latest(key=lambda event: event.value[0])
    async with throttled(transport, 0.1, outbox=outbox, heartbeat=1e9) as (client, conn):
        began = trio.current_time()
        for n in range(1000):
            await trio.sleep_until(began + n * 0.001)
            client.send @ pose(["left", n])
            client.send @ pose(["right", n])
            assert client.statistics().outbox <= 4
        await client.flush()
        found = values(conn)
        assert found[-2:] == [["left", 999], ["right", 999]]
        by_side = Counter(side for side, _ in found)
        assert abs(by_side["left"] - by_side["right"]) <= 1
        steps = [n for side, n in found if side == "left"]
        assert max(b - a for a, b in itertools.pairwise(steps)) <= 201


@pytest.mark.trio
@each_transport
async def test_drop_oldest_delivers_the_newest_in_order(autojump_clock, transport):
    async with throttled(transport, 1, outbox=DropOldest(10), heartbeat=1e9) as (client, conn):
        began = trio.current_time()
        client.send @ pose(0)
        await trio.testing.wait_all_tasks_blocked()
        for n in range(1, 101):
            client.send @ pose(n)
        assert client.statistics().outbox == 11
        assert client.statistics().dropped == 90
        await client.flush()
        assert values(conn) == [0, *range(91, 101)]
        # The first one, the ten together, the ping behind them in the same write.
        assert trio.current_time() - began <= 3


@pytest.mark.trio
@each_transport
@pytest.mark.parametrize("policy", [DropOldest(3), Latest(), Discard()], ids=repr)
async def test_a_flush_ends_however_much_is_sent_behind_it(autojump_clock, transport, policy):
    async with throttled(transport, 1, outbox=policy, heartbeat=1e9) as (client, conn):
        began = trio.current_time()
        flushed = []

        async def flush():
            await client.flush()
            flushed.append(trio.current_time() - began)

        async with trio.open_nursery() as nursery:
            client.send @ pose(0)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(flush)
            await trio.testing.wait_all_tasks_blocked()
            for n in range(1, 400):
                client.send @ pose(n)
                await trio.sleep(0.01)
        assert len(flushed) == 1
        assert flushed[0] <= 3.01
        if policy == Discard():
            assert values(conn) == []
            assert client.statistics().dropped == 400


@pytest.mark.trio
@each_transport
async def test_a_fifo_beside_them_still_refuses(autojump_clock, transport):
    async with throttled(transport, 1, outbox=Fifo(3), heartbeat=1e9) as (client, _):
        with pytest.raises(OutboxFull):
            for n in range(5):
                client.send @ pose(n)


@pytest.mark.trio
@each_transport
async def test_what_is_in_the_outbox_when_the_client_leaves_is_sent(autojump_clock, transport):
    async with memory_peer() as peer:
        stream = ThrottledStream(peer.stream)
        client = open_vuer_client(
            peer.uri, stream=stream, transport=transport, outbox=Latest(), close_timeout=5
        )
        async with client:
            await peer.conn.wait_until(lambda: peer.conn.messages)
            stream.seconds = 1
            for n in range(100):
                client.send @ pose(n)
        assert values(peer.conn)[-1] == 99
        assert len(values(peer.conn)) <= 2
