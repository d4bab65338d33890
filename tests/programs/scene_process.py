"""One of several server processes that share a scene; it does what lines of JSON tell it.

The argument is JSON as well: ``redis``, the URI or null, ``port``, ``backend``, ``free``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time

import anyio
import anyio.lowlevel
import anyio.to_thread

from vuer_trio import Backoff, Fifo, OutboxFull, SceneStore, Vuer, open_vuer_server
from vuer_trio.bus import RedisBus
from vuer_trio.schemas import Box

#: seconds between two looks at how many changes are due
TICK = 0.01

given = json.loads(sys.argv[1])
logging.basicConfig(level=logging.WARNING, format=f"{given.get('name')}: %(message)s")
bus = None
if given["redis"] is not None:
    again = Backoff(initial=0.1, maximum=1.0, first=True)
    bus = RedisBus(given["redis"], timeout=2.0, reconnect=again)
store = SceneStore(bus=bus, max_waiting=50_000)
app = Vuer(
    port=given["port"],
    outbox=Fifo(1_000_000),
    max_sessions_per_host=1000,
    heartbeat=600.0,
    stall_timeout=600.0,
)


@app.spawn
async def show(session):
    async with store.subscribe(session):
        await session.forever()


def say(**what):
    print(json.dumps(what), flush=True)


async def change(name, count, rate):
    """So many changes at such a rate; each tenth adds a node, and removes an older one."""
    begun, made = time.monotonic(), 0
    refused = 0
    while made < count:
        due = min(count, int((time.monotonic() - begun) * rate) + 1) if rate else count
        while made < due:
            try:
                if made % 10 == 9:
                    store.add @ Box(key=f"{name}:{made}", writer=name, n=made)
                elif made % 10 == 5 and made > 20:
                    store.remove @ f"{name}:{made - 16}"
                else:
                    key = f"{name}.{made % 7}"
                    store.upsert @ Box(key=key, writer=name, n=made, at=time.monotonic())
            except OutboxFull:
                refused += 1
                await store.flush()
                continue
            made += 1
            if made % 100 == 0:
                await anyio.lowlevel.checkpoint()
        await anyio.sleep(TICK)
    await store.flush()
    say(changed=name, refused=refused, seconds=time.monotonic() - begun)


def state():
    data = json.dumps(store.scene_data, sort_keys=True).encode()
    return {
        "digest": hashlib.sha256(data).hexdigest(),
        "waiting": store.waiting,
        "connected": store.bus_connected,
        "cpu": time.process_time(),
    }


async def main():
    async with store, open_vuer_server(app) as server, anyio.create_task_group() as tasks:
        say(port=server.port)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            told = json.loads(line)
            if "change" in told:
                tasks.start_soon(change, told["change"], told["count"], told["rate"])
            elif "state" in told:
                say(**state())
        tasks.cancel_scope.cancel()


anyio.run(main, backend=given.get("backend", "trio"))
