"""Both directions are bounded, by count and by bytes, and nobody waits too long for his turn."""

from __future__ import annotations

import itertools

import anyio
import msgpack
import pytest

from tests.behaviour.numbered_events import Number, go, numbers, on_go, stream
from tests.scripted_server import serve_peer
from vuer_trio import Fifo, InboxFull, OutboxFull
from vuer_trio._net.byte_stream import READ

pytestmark = pytest.mark.anyio


def at_once(events):
    """A script that sends these events as soon as its client has said who it is."""

    async def script(conn):
        await conn.accept()
        await conn.recv()
        for event in events:
            await conn.send_event(event)

    return script


@pytest.mark.slow
@pytest.mark.no_cover
async def test_the_default_inbox_keeps_the_newest_if_nobody_ever_receives(open_client, caplog):
    async with serve_peer(at_once(stream(5000))) as peer, open_client(peer.uri) as client:
        await peer.join()
        await client.flush(timeout=60)  # the pong comes behind all of them
        assert client.statistics().dropped == 5000 - 1024
        event = await client.recv()
        assert event.data == 5000 - 1024
        assert event.dropped_before == 5000 - 1024
        assert [e.data for e in await client.recv_many()] == list(range(5000 - 1023, 5000))
        assert client.statistics().dropped == 5000 - 1024
    assert caplog.text.count("keeps the newest 1024 messages") == 1


@pytest.mark.slow
@pytest.mark.no_cover
async def test_the_default_inbox_gives_all_of_a_burst_to_who_iterates(open_client):
    async with serve_peer(at_once(stream(5000))) as peer, open_client(peer.uri) as client:
        with anyio.fail_after(60):
            got = [(await anext(client)).data for _ in range(5000)]
        assert got == list(range(5000))
        assert client.statistics().dropped == 0


@pytest.mark.slow
async def test_a_chosen_inbox_keeps_all_if_nobody_receives_so_far(open_client):
    inbox = Fifo(1000, max_bytes=100_000)
    script = at_once(stream(500, pad=bytes(10_000)))
    async with serve_peer(script) as peer, open_client(peer.uri, inbox=inbox) as client:
        with anyio.fail_after(60):
            while client.statistics().inbox_bytes < 100_000:
                await anyio.sleep(0.01)
            await anyio.sleep(1.2)  # longer than the default one waits
            assert client.statistics().received < 500
            assert [(await client.recv()).data for _ in range(500)] == list(range(500))
        assert client.statistics().dropped == 0


@pytest.mark.parametrize(
    ("inbox", "size"), [(Fifo(10), 1000), (Fifo(10_000, max_bytes=50_000), 20_000)]
)
async def test_a_full_inbox_stops_the_reader_and_the_peer_feels_it(open_client, inbox, size):
    script = on_go(stream(20_000_000 // size, pad=bytes(size)))
    async with serve_peer(script) as peer, open_client(peer.uri, inbox=inbox) as client:
        await go(client)
        assert (await client.recv()).data == 0
        await anyio.sleep(0.2)
        conn = await peer.connection()
        assert not conn.finished  # 20 MB do not fit between the two
        statistics = client.statistics()
        # what one read brought in may overshoot
        assert statistics.inbox_bytes <= inbox.max_bytes + size + 2 * READ
        assert statistics.inbox <= inbox.capacity + 2 * READ // size + 1
        with pytest.raises(InboxFull, match="receive first"):
            await client.flush()
        assert statistics.dropped == 0
        assert [(await client.recv()).data for _ in range(100)] == list(range(1, 101))


async def test_an_outbox_is_bounded_by_count_and_by_bytes(open_client):
    async with serve_peer(receive_buffer=4096) as peer:
        outbox = Fifo(100, max_bytes=50_000)
        async with open_client(peer.uri, outbox=outbox, close_timeout=10) as client:
            conn = await peer.connection()
            await conn.wait_until(lambda: conn.messages)
            conn.stop_reading()
            await client.send(Number(value="large", pad=bytes(5_000_000)))
            with pytest.raises(OutboxFull, match=r"of 50,000 bytes.*await client\.send"):
                client.send @ Number(value=1)
            with anyio.move_on_after(0.02) as scope:
                await client.send(Number(value=2))
            assert scope.cancelled_caught
            conn.resume_reading()
            await client.flush()
            conn.stop_reading()
            for n in range(100):
                client.send @ Number(value=n)
            with pytest.raises(OutboxFull, match="100 of 100 messages"):
                client.send @ Number(value=100)
            conn.resume_reading()
        assert numbers(conn.messages) == ["large", *range(100)]


async def test_send_many_is_one_step(open_client):
    async with serve_peer(receive_buffer=4096) as peer:
        async with open_client(peer.uri, outbox=Fifo(5), close_timeout=10) as client:
            conn = await peer.connection()
            await conn.wait_until(lambda: conn.messages)
            conn.stop_reading()
            await client.send_many(Number(value=n, pad=bytes(300_000)) for n in range(20))
            with anyio.move_on_after(0.02) as scope:
                await client.send_many(Number(value=-n) for n in range(20))
            assert scope.cancelled_caught
            conn.resume_reading()
        assert numbers(conn.messages) == list(range(20))


async def test_two_receivers_share_the_events(open_client):
    async def script(conn):
        await conn.accept()
        await conn.recv()
        await conn.recv()
        for n in range(1000):
            await conn.send_event({"etype": "N", "data": n})
        await conn.close()

    seen = [[], []]

    async def receive(client, mine):
        async for event in client:
            mine.append(event.data)
            await anyio.lowlevel.checkpoint()

    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        async with anyio.create_task_group() as tasks:
            for mine in seen:
                tasks.start_soon(receive, client, mine)
            await anyio.wait_all_tasks_blocked()
            await client.send(Number())
    assert sorted(seen[0] + seen[1]) == list(range(1000))
    assert seen[0] == sorted(seen[0])
    assert seen[1] == sorted(seen[1])
    assert all(seen)


class Clock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("work", [1e-6, 50e-6], ids=["no work", "work for each event"])
@pytest.mark.parametrize("direction", ["send", "recv"])
async def test_others_get_their_turn_within_a_millisecond(
    open_client, monkeypatch, direction, work
):
    clock = Clock()
    for module in ("checkpoints", "sender", "receiver"):
        monkeypatch.setattr(f"vuer_trio._connection.{module}.perf_counter", clock)
    count = 2000

    async def script(conn):
        await conn.accept()
        frame = msgpack.packb({"etype": "N", "data": 1})
        if direction == "recv":
            for _ in range(count):
                await conn.send(frame)

    turns = []

    async def other():
        while True:
            turns.append(clock.now)
            await anyio.lowlevel.checkpoint()

    room = Fifo(count + 1)
    async with serve_peer(script) as peer, open_client(peer.uri, inbox=room, outbox=room) as client:
        if direction == "recv":
            await client.recv()
            with anyio.fail_after(60):
                while client.statistics().inbox < count - 1:
                    await anyio.sleep(0.001)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            await anyio.lowlevel.checkpoint()
            for _ in range(count - 1):
                if direction == "send":
                    await client.send(Number(value=1))
                else:
                    await client.recv()
                clock.now += work
            tasks.cancel_scope.cancel()
    late = [b - a for a, b in itertools.pairwise(turns)]
    # Trio runs what is ready in random order, so two turns of the loop may lie between.
    assert max(late) <= 2 * (0.00025 + 2 * work) < 0.001
    assert len(turns) < count / 2  # amortised, not at every call


async def test_checkpoints_at_every_call_when_asked_for(open_client):
    async with (
        serve_peer() as peer,
        open_client(peer.uri, checkpoints="every") as client,
    ):
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            await anyio.lowlevel.checkpoint()
            before = turns
            for n in range(100):
                await client.send(Number(value=n))
            assert turns - before >= 99
            tasks.cancel_scope.cancel()
