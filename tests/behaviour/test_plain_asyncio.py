"""asyncio as its users run it: no anyio around, its own cancellation, its own timeouts."""

from __future__ import annotations

import asyncio
import random

import pytest
import uvloop

from tests.behaviour.numbered_events import Number, numbers
from tests.resource_counts import open_sockets
from tests.scripted_server import serve_peer
from vuer_trio import ConnectionClosed, ConnectionFailed, RecvTimeout, open_vuer_client

TRANSPORTS = ["websockets", "wsproto"]
RUNNERS = {"asyncio": asyncio.run, "uvloop": uvloop.run}

runners = pytest.mark.parametrize("run", RUNNERS.values(), ids=RUNNERS)
transports = pytest.mark.parametrize("transport", TRANSPORTS)


@runners
@transports
def test_the_whole_client_under_the_plain_runner(run, transport):
    async def script(conn):
        await conn.accept()
        await conn.ping(b"hello")
        await conn.send_event(
            {"etype": "ASK", "uuid": "1", "rtype": "ASK_RESPONSE@1", "key": "k", "data": 1}
        )
        for n in range(2000):
            await conn.send_event({"etype": "N", "data": n})
        while await conn.recv_event() is not None:
            pass

    async def main():
        seen = []
        async with serve_peer(script) as peer:
            client = open_vuer_client(peer.uri, transport=transport, heartbeat=0.05)
            client.answer("ASK", lambda event: event.data + 1)
            client.on("N", lambda event: seen.append(event.data), once=True)
            async with client:
                client.send @ Number(value=1)
                await client.send(Number(value=2))
                await client.send @ Number(value=bytes(1_000_000))
                await client.flush(timeout=60)
                assert [(await client.recv(timeout=60)).data for _ in range(2000)] == list(
                    range(2000)
                )
                with pytest.raises(RecvTimeout):
                    await client.recv(timeout=0.01)
                await asyncio.sleep(0.2)  # a few heartbeats
                assert client.statistics().rtt is not None
                await client.send_channel.send(Number(value=4))
            conn = await peer.connection()
            assert numbers(conn.messages) == [1, 2, bytes(1_000_000), 4]
            assert conn.pongs == [b"hello"]
            assert b"ASK_RESPONSE@1" in b"".join(conn.messages)
            assert (seen, conn.close_code) == ([0], 1000)

    run(main())


@runners
@transports
def test_every_event_once_under_random_task_cancel(run, transport):
    """``task.cancel()`` may hit in the very tick in which an event arrives."""
    rng = random.Random(11)
    count = 2000

    async def script(conn):
        await conn.accept()
        await conn.recv()
        for n in range(count):
            await conn.send_event({"etype": "N", "data": n})
            if n % 5 == 0:
                await asyncio.sleep(0)

    async def main():
        seen, cancelled = [], 0
        async with serve_peer(script) as peer:
            async with open_vuer_client(peer.uri, transport=transport) as client:
                async with asyncio.timeout(60):
                    while len(seen) < count:
                        task = asyncio.create_task(client.recv())
                        for _ in range(rng.randrange(4)):
                            await asyncio.sleep(0)
                        task.cancel()
                        try:
                            seen.append((await task).data)
                        except asyncio.CancelledError:
                            cancelled += 1
        assert seen == list(range(count))
        assert cancelled > 100

    run(main())


@runners
def test_asyncios_own_timeouts_and_groups(run):
    async def main():
        before = open_sockets()
        async with serve_peer() as peer:
            async with open_vuer_client(peer.uri) as client:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await client.recv()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.recv(), 0.02)
                async with asyncio.TaskGroup() as group:
                    for n in range(10):
                        group.create_task(client.send(Number(value=n)))
                await client.flush()
                assert sorted(numbers((await peer.connection()).messages)) == list(range(10))

            async def body():
                async with open_vuer_client(peer.uri) as other:
                    await other.recv()

            task = asyncio.create_task(body())
            await peer.connection(1)
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(ConnectionError):
                async with open_vuer_client("ws://127.0.0.1:1"):
                    pytest.fail("it opened")
            with pytest.raises(ValueError, match="runs on Trio only"):
                async with open_vuer_client(peer.uri, transport="trio-websocket"):
                    pytest.fail("it opened")
        assert open_sockets() <= before
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    run(main())


@runners
def test_the_bare_connect_and_close(run):
    async def main():
        async with serve_peer() as peer:
            client = await open_vuer_client(peer.uri).connect()
            await client.send(Number(value=1))
            await client.close()
            assert numbers((await peer.connection()).messages) == [1]
            lost = await open_vuer_client(peer.uri).connect()
            conn = await peer.connection(1)
            await conn.recv()
            await conn.abort()
            with pytest.raises(ConnectionClosed):
                await lost.recv()
            with pytest.raises(ConnectionFailed):
                await open_vuer_client("ws://127.0.0.1:1").connect()

    run(main())


@runners
@transports
def test_a_cancellation_behind_the_enqueuing_of_a_large_message_comes_at_the_next_await(
    run, transport
):
    """The message is sent, so `send` cannot say that it was not."""

    async def main():
        async with (
            serve_peer() as peer,
            open_vuer_client(peer.uri, transport=transport, checkpoints="every") as client,
        ):
            done = []

            async def sends():
                task, call_soon = asyncio.current_task(), asyncio.get_running_loop().call_soon
                # `send` lets others run before it enqueues, and behind that: this is behind
                call_soon(call_soon, task.cancel)
                await client.send(Number(value=1, pad=bytes(100_000)))
                done.append(task.cancelling())
                try:
                    await asyncio.sleep(30)
                except asyncio.CancelledError:
                    done.append("cancelled")
                    raise

            task = asyncio.create_task(sends())
            await asyncio.wait([task])
            assert task.cancelled()
            assert done == [1, "cancelled"]
            await client.flush()
            assert numbers(peer.connections[0].messages) == [1]

    run(main())
