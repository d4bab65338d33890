"""What a cancellation leaves behind: whole frames, whole events, nothing else."""

from __future__ import annotations

import random

import anyio
import pytest

from tests.behaviour.numbered_events import Number, numbers
from tests.repetitions import times
from tests.resource_counts import open_sockets, task_count
from tests.scripted_server import serve_peer
from vuer_trio import ConnectionClosed, Fifo

pytestmark = pytest.mark.anyio

MIB = 1 << 20
tcp_and_tls = pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])


@tcp_and_tls
@pytest.mark.no_cover
async def test_a_send_cancelled_half_way_leaves_a_whole_stream(open_client, tls):
    blob = bytes(20 * MIB)
    async with serve_peer(tls=tls, receive_buffer=4096) as peer:
        options = {"ssl_context": peer.client_ssl_context} if tls else {}
        outbox = Fifo(1024, max_bytes=MIB)
        async with open_client(peer.uri, outbox=outbox, close_timeout=20, **options) as client:
            conn = await peer.connection()
            await conn.wait_until(lambda: conn.messages)  # INIT
            conn.stop_reading()
            await client.send(Number(value=1, blob=blob))
            with anyio.move_on_after(0.2) as scope:
                await client.send(Number(value=2, blob=blob))
            assert scope.cancelled_caught
            conn.resume_reading()
            for n in range(3, 53):
                await client.send(Number(value=n))
        assert numbers(conn.messages) == [1, *range(3, 53)]
        assert conn.protocol_error is None
        assert conn.close_code == 1000


@tcp_and_tls
async def test_a_block_cancelled_in_mid_frame_ends_the_stream_there(open_client, tls):
    async with serve_peer(tls=tls, receive_buffer=4096) as peer:
        options = {"ssl_context": peer.client_ssl_context} if tls else {}
        with anyio.CancelScope() as scope:
            async with open_client(peer.uri, **options) as client:
                conn = await peer.connection()
                await client.send(Number(value=1))
                await conn.wait_until(lambda: len(conn.messages) == 2)
                conn.stop_reading()
                await client.send(Number(value=2, blob=bytes(20 * MIB)))
                scope.deadline = anyio.current_time() + 0.1  # it is on its way by then
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert not client.connected
        conn.resume_reading()
        with anyio.fail_after(60):
            await conn.wait_disconnected()
        assert numbers(conn.messages) == [1]
        assert conn.close_code is None


@pytest.mark.no_cover
async def test_sends_under_random_deadlines_arrive_once_or_not_at_all(open_client):
    rng = random.Random(7)

    async def slow_reader(conn):
        await conn.accept()
        while await conn.recv() is not None:
            conn.stop_reading()
            await anyio.sleep(rng.random() * 0.002)
            conn.resume_reading()

    sent, cancelled = [], 0
    async with serve_peer(slow_reader, receive_buffer=4096) as peer:
        outbox = Fifo(2, max_bytes=30_000)
        async with open_client(peer.uri, outbox=outbox, close_timeout=20) as client:
            for n in range(times(100, 400)):
                with anyio.move_on_after(rng.random() * 0.003) as scope:
                    await client.send(Number(value=n, pad=bytes(20_000)))
                    sent.append(n)
                cancelled += scope.cancelled_caught
        assert numbers((await peer.connection()).messages) == sent
    assert cancelled > 2
    assert len(sent) > 10


@pytest.mark.no_cover
async def test_receives_under_random_deadlines_lose_nothing(open_client):
    rng = random.Random(8)
    count = times(600, 3000)

    async def script(conn):
        await conn.accept()
        await conn.recv()
        for n in range(count):
            await conn.send_event({"etype": "N", "data": n})
            if n % 7 == 0:
                await anyio.sleep(rng.random() * 0.002)

    seen, cancelled = [], 0
    async with serve_peer(script) as peer, open_client(peer.uri) as client:
        with anyio.fail_after(60):
            while len(seen) < count:
                with anyio.move_on_after(rng.random() * 0.001) as scope:
                    while len(seen) < count:
                        seen.append((await client.recv()).data)
                cancelled += scope.cancelled_caught
    assert seen == list(range(count))
    assert cancelled > count // 30


@pytest.mark.no_cover
async def test_opening_and_cancelling_leaves_no_task_and_no_socket(open_client):
    rng = random.Random(9)
    outcomes = {"opened": 0, "cancelled": 0}
    async with serve_peer() as peer:
        async with open_client(peer.uri):
            pass
        start = anyio.current_time()
        async with open_client(peer.uri):
            span = 3 * (anyio.current_time() - start)  # to be hit while it opens, and after
        await anyio.sleep(0.05)
        tasks, sockets = task_count(), open_sockets()
        count = times(50, 200)
        for _ in range(count):
            with anyio.move_on_after(rng.random() * span) as scope:
                async with open_client(peer.uri) as client:
                    outcomes["opened"] += 1
                    await client.recv()
            outcomes["cancelled"] += scope.cancelled_caught
        with anyio.fail_after(60):
            while task_count() > tasks or open_sockets() > sockets:
                await anyio.sleep(0.01)
    assert outcomes["cancelled"] == count
    assert 0 < outcomes["opened"] < count


async def test_a_permit_dropped_or_cancelled_gives_its_slot_back(open_client):
    async with (
        serve_peer() as peer,
        open_client(peer.uri, outbox=Fifo(2)) as client,
    ):
        await client.flush()
        first, second = await client.send, await client.send
        with anyio.move_on_after(0.01) as scope:
            await client.send(Number(value=0))
        assert scope.cancelled_caught
        with pytest.raises(TypeError):
            first @ object()
        first @ Number(value=1)
        with pytest.raises(RuntimeError, match="one event"):
            first @ Number(value=1)
        del second
        third = await client.send
        third.release()
        third.release()
        await client.send(Number(value=2))
        await client.flush()
        assert client.statistics().outbox == 0
        assert numbers((await peer.connection()).messages) == [1, 2]


async def test_a_waiting_send_is_not_overtaken(open_client):
    from vuer_trio import OutboxFull

    async with serve_peer() as peer, open_client(peer.uri, outbox=Fifo(1)) as client:
        await client.flush()
        permit = await client.send
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, Number(value=2))
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(OutboxFull, match="1 of 1 messages"):
                client.send @ Number(value=3)
            permit @ Number(value=1)
            with pytest.raises(OutboxFull):
                client.send_nowait(Number(value=3))
        await client.flush()
        assert numbers((await peer.connection()).messages) == [1, 2]


async def test_clean_up_in_a_cancelled_body_can_still_send(open_client):
    async with serve_peer() as peer:
        with anyio.CancelScope() as scope:
            async with open_client(peer.uri) as client:
                try:
                    scope.cancel()
                    await anyio.sleep_forever()
                finally:
                    with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 5):
                        await client.send(Number(value="stop"))
                        await client.flush()
        conn = await peer.connection()
        await conn.wait_ended()
        assert numbers(conn.messages) == ["stop"]
        assert conn.close_code == 1001


async def test_sends_in_flight_when_the_link_dies_all_raise(open_client):
    closed = []

    async def send(client, n):
        try:
            while True:
                await client.send(Number(value=n, pad=bytes(100_000)))
        except ConnectionClosed as exc:
            closed.append(exc.code)

    async with serve_peer(receive_buffer=4096) as peer:
        with pytest.raises(ConnectionClosed, match="not sent"):
            async with open_client(peer.uri, outbox=Fifo(4)) as client:
                conn = await peer.connection()
                await conn.wait_until(lambda: conn.messages)
                conn.stop_reading()
                async with anyio.create_task_group() as tasks:
                    for n in range(5):
                        tasks.start_soon(send, client, n)
                    await anyio.sleep(0.1)
                    await conn.abort()
    assert closed == [1006] * 5
