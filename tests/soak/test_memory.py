"""The memory of a process whose program or peer cannot keep up stays within the given bounds."""

from __future__ import annotations

import json
import sys

import pytest
import trio

from tests import PROGRAMS
from tests.programs.bounded_client import BOUND, MESSAGES, SIZE, WORKS
from tests.scripted_server import event_frame, serve_peer

PROGRAM = PROGRAMS / "bounded_client.py"
#: bytes beside the bounded box: two reads, a message in the making, the allocator's pools
SLACK = 4 * 2**20


async def floods(conn):
    await conn.accept()
    for n in range(MESSAGES):
        await conn.send_raw(event_frame({"etype": "N", "data": {"n": n, "pad": bytes(SIZE)}}))
    await trio.sleep_forever()


async def reads_slowly(conn):
    """Rests for 10 ms after each MiB or so."""
    await conn.accept()
    while True:
        conn.stop_reading()
        await trio.sleep(0.01)
        conn.resume_reading()
        count = len(conn.messages)
        await conn.wait_until(lambda count=count: len(conn.messages) >= count + 16)


async def reads_nothing(conn):
    await conn.accept()
    conn.stop_reading()
    await trio.sleep_forever()


PEERS = {
    "a slow reader": floods,
    "a flood, the oldest dropped": floods,
    "a flood, the newest kept": floods,
    "a slow writer": reads_slowly,
    "a stalled peer": reads_nothing,
    "a stalled peer, the newest kept": reads_nothing,
}


@pytest.mark.no_cover  # tracing has memory of its own
@pytest.mark.trio
@pytest.mark.parametrize("work", WORKS)
async def test_memory_stays_within_its_bounds(backend, work, capsys):
    async with serve_peer(PEERS[work]) as peer:
        with trio.fail_after(120):
            done = await trio.run_process(
                [sys.executable, PROGRAM, backend.runtime, backend.transport, work, peer.uri],
                capture_stdout=True,
            )
    result = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\n[memory] {backend.name}, {work}: {result}")
    assert result["grown"] <= BOUND + SLACK
