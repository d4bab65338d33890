"""A long time, and many clients: nothing is dropped, nothing grows."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time

import anyio
import psutil
import pytest
import trio

from tests import PROGRAMS
from tests.behaviour.numbered_events import Number
from tests.repetitions import times
from tests.resource_counts import PATIENCE, Census, task_count
from tests.scripted_server import memory_peer
from vuer_trio import open_vuer_client
from vuer_trio._websocket.transport import Text

CLIENTS, RATE = 100, 60  # events a second, each
SECONDS = float(os.environ.get("SOAK_SECONDS", times(5, 20)))


@pytest.fixture
def echo_server():
    process = subprocess.Popen(
        [sys.executable, PROGRAMS / "echo_server.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        yield f"ws://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


POSE = {"position": [0.1, 0.2, 0.3], "matrix": [0.123] * 16}


async def stream(uri, seconds, counts, ready):
    """One operator: a pose 60 times a second, each of which comes back."""
    async with open_vuer_client(uri) as client:
        await client.recv()  # INIT comes back first
        counts["connected"] += 1
        await ready.wait()
        start = anyio.current_time()

        all_back = anyio.Event()

        async def receive():
            for _ in range(int(seconds * RATE)):
                event = await client.recv()
                assert event.value["position"] == POSE["position"]
                counts["received"] += 1
            all_back.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            for n in range(int(seconds * RATE)):
                await anyio.sleep_until(start + n / RATE)
                client.send @ Number(value=POSE)
                counts["sent"] += 1
            await client.flush(timeout=120)
            with anyio.move_on_after(60):
                await all_back.wait()
            tasks.cancel_scope.cancel()
        statistics = client.statistics()
        counts["dropped"] += statistics.dropped + statistics.lost


def memory() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


@pytest.mark.no_cover  # tracing would take the core that the clients need
def test_many_clients_for_long(echo_server, capsys):
    counts = dict.fromkeys(("connected", "sent", "received", "dropped"), 0)

    async def main():
        before, samples = Census.take(), []
        async with trio.open_nursery() as nursery:
            ready = trio.Event()
            for _ in range(CLIENTS):
                nursery.start_soon(stream, echo_server, SECONDS, counts, ready)
            with trio.fail_after(60):
                while counts["connected"] < CLIENTS:
                    await trio.sleep(0.05)
            cpu, start = time.process_time(), time.monotonic()
            ready.set()
            while counts["sent"] < CLIENTS * int(SECONDS * RATE) or len(samples) < 8:
                samples.append(memory())
                await trio.sleep(SECONDS / 20)
            used = (time.process_time() - cpu) / (time.monotonic() - start)
        await before.assert_nothing_left(PATIENCE)
        return samples, used

    samples, used = trio.run(main)
    expected = CLIENTS * int(SECONDS * RATE)
    with capsys.disabled():
        print(
            f"\n[soak] {CLIENTS} clients x {RATE}/s x {SECONDS:g} s: {counts['received']:,} of "
            f"{expected:,} came back, {counts['dropped']} dropped; {100 * used:.0f} % of a core; "
            f"memory {samples[0] / 1e6:.1f} to {samples[-1] / 1e6:.1f} MB"
        )
    assert counts["sent"] == counts["received"] == expected
    assert counts["dropped"] == 0
    # The first seconds fill the allocator's pools, and what is in flight comes and goes.
    quarters = [samples[n * len(samples) // 4 : (n + 1) * len(samples) // 4] for n in range(4)]
    assert min(quarters[3]) - min(quarters[1]) < 8_000_000


@pytest.mark.no_cover
@pytest.mark.trio
@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
async def test_virtual_hours(autojump_clock, transport):
    """A pose a second, an event back every ten, a pause of an hour in which only pings go."""
    hours = times(1, 9)

    async def script(conn):
        await conn.accept()
        count = 0
        while (message := await conn.recv()) is not None:
            assert not isinstance(message, Text)
            count += 1
            if count % 10 == 0:
                await conn.send_event({"etype": "N", "data": count})
            conn.messages.clear()
            conn._taken = 0

    start = trio.current_time()
    async with memory_peer(script) as peer:
        async with open_vuer_client(stream=peer.stream, transport=transport) as client:
            received = []

            async def receive():
                async for event in client:
                    received.append(event.data)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                tasks, used = None, 0
                for second in range(hours * 3600):
                    await trio.sleep(1)
                    await client.send(Number(value=second))
                    if second == 1800:
                        tasks, used = task_count(), memory()
                await trio.sleep(3600)
                await client.flush()
                assert task_count() == tasks
                assert memory() - used < 8_000_000
                nursery.cancel_scope.cancel()
            assert client.connected
            assert received == list(range(10, hours * 3600 + 1, 10))
            statistics = client.statistics()
            assert (statistics.dropped, statistics.outbox, statistics.inbox) == (0, 0, 0)
            assert peer.conn.keepalive
    assert trio.current_time() - start >= (hours + 1) * 3600
