"""A client in a process of its own, whose memory is measured while its peer or its program lags.

    python tests/programs/bounded_client.py RUNTIME TRANSPORT WORK URI

Prints one line of JSON: by how many bytes the process grew at its peak, and what the work counted.
"""

from __future__ import annotations

import gc
import itertools
import json
import sys
import threading
from typing import Any

import anyio
import anyio.lowlevel
import psutil

from vuer_trio import DropOldest, Fifo, Latest, OutboxFull, open_vuer_client
from vuer_trio.events import ClientEvent

#: bytes: of a message, that each box may hold, and that a work moves or tries to move at least
SIZE, BOUND, TOTAL = 64 * 1024, 8 * 2**20, 256 * 2**20
MESSAGES = TOTAL // SIZE


class Blob(ClientEvent):
    etype = "BLOB"


async def slow_reader(client: Any) -> dict[str, int]:
    """Takes 100 events a second of a flood."""
    for n in range(200):
        assert (await client.recv()).data["n"] == n
        await anyio.sleep(0.01)
    return {"taken": 200, "dropped": client.statistics().dropped}


async def flooded(client: Any) -> dict[str, int]:
    """Lets a whole flood pass, and takes what is left at its end."""
    await client.recv()
    while client.statistics().received < MESSAGES:
        await anyio.sleep(0.05)
    left = await client.recv_many()
    assert left[-1].data["n"] == MESSAGES - 1
    return {"taken": len(left), "dropped": client.statistics().dropped}


async def slow_writer(client: Any) -> dict[str, int]:
    """Sends as fast as there is room, to a peer that reads slowly."""
    for _ in range(MESSAGES // 4):
        await client.send(Blob(value=bytes(SIZE)))
    await client.flush()
    return {"sent": MESSAGES // 4}


async def refused(client: Any) -> dict[str, int]:
    """Goes on trying to send to a peer that reads nothing."""
    count = 0
    for n in range(MESSAGES):
        try:
            client.send @ Blob(value=bytes(SIZE))
        except OutboxFull:
            count += 1
        if n % 64 == 0:
            await anyio.lowlevel.checkpoint()
    assert count
    return {"refused": count}


async def stale(client: Any) -> dict[str, int]:
    """Sends to a peer that reads nothing: the newest are kept."""
    for n in range(MESSAGES):
        client.send @ Blob(value=bytes(SIZE))
        if n % 64 == 0:
            await anyio.lowlevel.checkpoint()
    dropped = client.statistics().dropped
    assert dropped
    return {"dropped": dropped}


_keys = itertools.count()


def each(event: Any) -> int:
    """A key of its own, so that only the bytes bound what is kept."""
    return next(_keys)


#: name: (what the program does, the boxes)
WORKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a slow reader": (slow_reader, {"inbox": Fifo(100_000, max_bytes=BOUND)}),
    "a flood, the oldest dropped": (flooded, {"inbox": DropOldest(100_000, max_bytes=BOUND)}),
    "a flood, the newest kept": (flooded, {"inbox": Latest(each, 100_000, max_bytes=BOUND)}),
    "a slow writer": (slow_writer, {"outbox": Fifo(100_000, max_bytes=BOUND)}),
    "a stalled peer": (refused, {"outbox": Fifo(100_000, max_bytes=BOUND)}),
    "a stalled peer, the newest kept": (stale, {"outbox": Latest(each, 100_000, max_bytes=BOUND)}),
}


class Watch:
    """Looks at the process's memory a thousand times a second."""

    def __init__(self) -> None:
        gc.collect()
        self._process = psutil.Process()
        self.start = self.peak = self._process.memory_info().rss
        self._done = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._done.wait(0.001):
            self.peak = max(self.peak, self._process.memory_info().rss)

    def end(self) -> int:
        self._done.set()
        return self.peak - self.start


async def main(transport: str, work: str, uri: str) -> None:
    fn, boxes = WORKS[work]
    with anyio.fail_after(100):
        async with open_vuer_client(uri, transport=transport, close_timeout=0.1, **boxes) as client:
            watch = Watch()
            counts = await fn(client)
            print(json.dumps({"grown": watch.end(), **counts}), flush=True)
            raise SystemExit


if __name__ == "__main__":
    runtime, *rest = sys.argv[1:]
    uvloop = {"backend_options": {"use_uvloop": True}} if runtime == "uvloop" else {}
    anyio.run(main, *rest, backend="asyncio" if runtime == "uvloop" else runtime, **uvloop)
