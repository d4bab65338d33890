"""At least once: what is kept until a pong confirms it, and sent again."""

from __future__ import annotations

import math

import pytest
import trio
import trio.testing

from tests.behaviour.numbered_events import Number, numbers
from tests.memory_network import network
from tests.stream_wrappers import PassthroughStream
from vuer_trio import (
    Backoff,
    CallTimeout,
    Connected,
    ConnectionClosed,
    Fifo,
    OutboxFull,
    open_vuer_client,
)
from vuer_trio._connection.queue import Queue
from vuer_trio._connection.replay import Replay
from vuer_trio._runtime import runtime
from vuer_trio._websocket.transport import Ping

URI = "ws://memory.test:8012"

pytestmark = pytest.mark.trio


# ---- the memory itself


class Keys:
    def __init__(self):
        self.count = 0

    def new_key(self):
        self.count += 1
        return b"%d" % self.count


class Kept:
    """A replay with its box; ``sent`` is what the writer has been given."""

    def __init__(self, capacity=10_000):
        rt = runtime()
        self.box = Queue(rt, Fifo(capacity))
        self.replay = Replay(rt, self.box, Keys())
        self.sent = []

    def put(self, *items):
        for item in items:
            self.box.put(item)

    def write(self, limit=1 << 30):
        batch = self.box.take(limit)
        self.replay.send(batch)
        self.sent += batch
        return batch


def messages(count, size=1):
    return [b"%0*d" % (size, n) for n in range(count)]


async def test_the_peer_is_asked_before_a_pause():
    kept = Kept()
    kept.put(b"a", b"b")
    assert kept.write() == [b"a", b"b", b"1"]
    assert type(kept.sent[-1]) is Ping
    assert (kept.box.count, kept.box.bytes, kept.replay.unconfirmed) == (2, 2, 2)
    kept.replay.confirm(b"1")
    assert (kept.box.count, kept.box.bytes, kept.replay.unconfirmed) == (0, 0, 0)


async def test_the_peer_is_asked_once_in_256_messages():
    kept = Kept()
    kept.put(*messages(1000, size=3))
    batch = kept.write()
    pings = [n for n, item in enumerate(batch) if type(item) is Ping]
    assert pings == [256, 513, 770]  # the answers will ask for the rest
    assert kept.replay.unconfirmed == 1000
    kept.replay.confirm(b"2")
    assert (kept.box.count, kept.box.bytes) == (488, 3 * 488)
    assert kept.write() == []
    kept.replay.confirm(b"3")
    assert kept.write() == [b"4"]
    kept.replay.confirm(b"4")
    assert (kept.box.count, kept.box.bytes, kept.replay.unconfirmed) == (0, 0, 0)


async def test_the_peer_is_asked_once_in_a_mebibyte():
    kept = Kept()
    kept.put(*[bytes(300_000)] * 10)
    batch = kept.write()
    assert [n for n, item in enumerate(batch) if type(item) is Ping] == [4, 9]
    kept.put(bytes(5 << 20))
    assert [type(item) for item in kept.write()] == [bytes, Ping]


async def test_counting_goes_on_from_batch_to_batch():
    kept = Kept()
    kept.put(b"first")
    kept.write()
    for _ in range(255):
        kept.put(b"x")
        assert len(kept.write()) == 1
    kept.put(b"x")
    assert len(kept.write()) == 2


async def test_in_between_only_one_question_is_open():
    kept = Kept()
    for n in range(10):
        kept.put(b"m%d" % n)
        kept.write()
    assert sum(type(item) is Ping for item in kept.sent) == 1
    kept.replay.confirm(b"1")
    assert kept.replay.unconfirmed == 9
    assert kept.write() == [b"2"]
    kept.replay.confirm(b"2")
    assert kept.replay.unconfirmed == 0
    assert kept.write() == []


async def test_a_flush_is_a_question_too():
    kept = Kept()
    kept.put(b"a", Ping(b"flush"))
    assert kept.write() == [b"a", b"flush"]
    kept.replay.confirm(b"flush")
    assert (kept.box.count, kept.box.bytes, kept.replay.unconfirmed) == (0, 0, 0)


async def test_an_answer_stands_for_earlier_ones():
    kept = Kept()
    kept.put(*messages(600))
    kept.write()
    kept.replay.confirm(b"2")
    assert kept.replay.unconfirmed == 600 - 512
    kept.replay.confirm(b"1")
    kept.replay.confirm(b"2")
    kept.replay.confirm(b"unknown")
    assert kept.replay.unconfirmed == 600 - 512


async def test_all_that_is_not_confirmed_comes_again_first_and_in_order():
    kept = Kept()
    kept.put(*messages(300, size=3))
    kept.put(Ping(b"flush"), b"after")
    kept.write()
    kept.replay.confirm(b"1")
    kept.put(b"later")
    count, size = kept.box.count, kept.box.bytes
    kept.replay.put_back()
    assert (kept.box.count, kept.box.bytes, kept.replay.unconfirmed) == (count, size, 0)
    assert list(kept.box.items) == [*messages(300, size=3)[256:], b"flush", b"after", b"later"]
    kept.replay.confirm(b"flush")  # of the link that is lost
    assert kept.box.count == count
    assert kept.write()[-3:] == [b"flush", b"after", b"later"]
    kept.replay.confirm(b"flush")
    assert kept.write() == [b"2"]
    kept.replay.confirm(b"2")
    assert (kept.box.count, kept.box.bytes) == (0, 0)


async def test_nothing_to_send_asks_for_nothing():
    kept = Kept()
    assert kept.write() == []
    kept.replay.put_back()
    assert kept.write() == []


# ---- in a client


@pytest.fixture(params=["websockets", "trio-websocket"])
def opened(request):
    def client(**options):
        return open_vuer_client(
            URI,
            transport=request.param,
            reconnect=Backoff(jitter=0, replay=True),
            **{"heartbeat": math.inf, **options},
        )

    return client


async def up(conn):
    await conn.accept()


async def deaf(conn):
    """Reads, and answers no ping."""
    conn.auto_pong = False
    await conn.accept()


async def back(client):
    async for change in client.link_changes():
        if isinstance(change, Connected):
            return


async def test_what_no_pong_has_confirmed_is_sent_again(autojump_clock, opened):
    async with network(deaf, up) as net, opened() as client:
        conn = await net.connection()
        for n in range(3):
            client.send @ Number(value=n)
        await conn.wait_until(lambda: conn.keepalive)
        await conn.pong(conn.keepalive[0])
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().outbox == 0
        for n in range(3, 6):
            await client.send(Number(value=n))
        await conn.wait_until(lambda: len(conn.messages) == 7)
        assert client.statistics().outbox == 3
        await conn.abort()
        await back(client)
        await client.flush()
        assert numbers(net.connections[1].messages) == [3, 4, 5]
        assert b"INIT" in net.connections[1].messages[0]
        statistics = client.statistics()
        assert (statistics.lost, statistics.outbox, statistics.outbox_bytes) == (0, 0, 0)
        assert statistics.sent == 9


async def test_what_is_sent_again_comes_before_what_is_enqueued(autojump_clock, opened):
    async with network(deaf, deaf, up) as net, opened() as client:
        for generation in range(2):
            conn = await net.connection(generation)
            client.send @ Number(value=generation)
            await conn.wait_until(lambda conn=conn, g=generation: len(conn.messages) == 2 + g)
            await conn.abort()
            if generation == 0:
                await back(client)
        client.send @ Number(value=2)
        await back(client)
        await client.flush()
        assert numbers(net.connections[2].messages) == [0, 1, 2]


async def test_what_is_not_confirmed_takes_room(autojump_clock, opened):
    async with network(deaf, up) as net, opened(outbox=Fifo(3)) as client:
        conn = await net.connection()
        for n in range(3):
            await client.send(Number(value=n))
        await conn.wait_until(lambda: len(conn.messages) == 4)
        with pytest.raises(OutboxFull):
            client.send @ Number(value=3)
        with trio.move_on_after(100) as scope:
            await client.send(Number(value=3))
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, Number(value=3))
            await trio.testing.wait_all_tasks_blocked()
            await conn.pong(conn.keepalive[0])
        conn.auto_pong = True
        await conn.pong(conn.keepalive[-1])
        await client.flush()


async def test_a_stream_of_messages_through_a_small_outbox_goes_on(autojump_clock, opened):
    async with network(up) as net, opened(outbox=Fifo(2)) as client:
        for n in range(500):
            await client.send(Number(value=n))
        await client.flush()
        assert numbers(net.connections[0].messages) == list(range(500))


def answers_late(count):
    """Answers ``count`` pings, each 0.8 s after it came."""

    async def script(conn):
        conn.auto_pong = False
        await conn.accept()
        for n in range(count):
            await conn.wait_until(lambda n=n: len(conn.keepalive) > n)
            await trio.sleep(0.8)
            await conn.pong(conn.keepalive[n])

    return script


async def test_leaving_waits_until_all_is_confirmed(autojump_clock, opened):
    async with network(answers_late(2)) as net:
        async with opened(close_timeout=1) as client:
            client.send @ Number(value=1)
            await trio.testing.wait_all_tasks_blocked()
            client.send @ Number(value=2)
            began = trio.current_time()
        assert trio.current_time() - began == pytest.approx(1.6)
        assert net.connections[0].close_code == 1000
        assert numbers(net.connections[0].messages) == [1, 2]


async def test_leaving_waits_as_long_as_answers_keep_coming(autojump_clock, opened):
    async with network(answers_late(5)) as net:
        async with opened(close_timeout=1, outbox=Fifo(2000)) as client:
            await trio.testing.wait_all_tasks_blocked()
            for n in range(1100):
                client.send @ Number(value=n)
            began = trio.current_time()
        assert trio.current_time() - began == pytest.approx(5 * 0.8)
        assert len(numbers(net.connections[0].messages)) == 1100


async def test_leaving_tells_what_nobody_confirms(autojump_clock, opened):
    async with network(deaf, up) as net:
        with pytest.raises(
            ConnectionClosed, match=r"^2 messages were not confirmed by ws"
        ) as caught:
            async with opened(close_timeout=3) as client:
                client.send @ Number(value=1)
                client.send @ Number(value=2)
                began = trio.current_time()
        assert "nothing could be confirmed for 3 s" in str(caught.value)
        assert trio.current_time() - began == 3
        await trio.sleep(100)
        assert len(net.times) == 1


async def test_leaving_in_the_gap_tells_it_too(autojump_clock, opened):
    async with network(deaf, ConnectionRefusedError()) as net:
        with pytest.raises(ConnectionClosed, match=r"^3 messages were not confirmed by ws"):
            async with opened() as client:
                conn = await net.connection()
                client.send @ Number(value=1)
                client.send @ Number(value=2)
                await conn.wait_until(lambda: len(conn.messages) == 3)
                changes = client.link_changes()
                await conn.abort()
                await anext(changes)
                client.send @ Number(value=3)


async def test_a_link_lost_while_leaving_tells_it_too(autojump_clock, opened):
    async def script(conn):
        await deaf(conn)
        await trio.sleep(2)
        await conn.abort()

    async with network(script, up):
        with pytest.raises(ConnectionClosed, match=r"^1 message was not confirmed by ws"):
            async with opened(close_timeout=60) as client:
                client.send @ Number(value=1)


async def test_nothing_sent_leaves_at_once(autojump_clock, opened):
    async with network(deaf) as net:
        async with opened() as client:
            began = trio.current_time()
            with pytest.raises(CallTimeout):
                await client.flush(timeout=1)
        assert trio.current_time() - began == 1
        assert net.connections[0].close_code == 1000


class Hasty(PassthroughStream):
    """Its writes return late: after the peer has read, and answered."""

    async def send_all(self, data):
        await super().send_all(data)
        await trio.sleep(1)


async def test_an_answer_may_come_before_the_write_has_returned(autojump_clock, opened):
    async with network(up) as net:
        net.wrap = Hasty
        async with opened(close_timeout=5) as client:
            await trio.sleep(10)
            for n in range(3):
                client.send @ Number(value=n)
                await trio.sleep(0.5)
            await trio.sleep(10)
            assert client.statistics().outbox == 0
        assert numbers(net.connections[0].messages) == [0, 1, 2]
        assert net.connections[0].close_code == 1000


@pytest.mark.parametrize("replay", [False, True])
async def test_pings_do_not_count_as_messages(autojump_clock, replay):
    async with network(up):
        async with open_vuer_client(URI, reconnect=Backoff(replay=replay)) as client:
            for n in range(10):
                await client.send(Number(value=n))
                await client.flush()
            assert client.statistics().sent == 10
