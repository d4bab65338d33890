"""A relay that shares a Redis with others. Arguments: its URI, and seconds until it is dead."""

from __future__ import annotations

import logging
import math
import sys

import anyio
import anyio.to_thread

from vuer_trio.arc import open_arc_relay
from vuer_trio.arc.relay import shared_switch
from vuer_trio.bus import RedisBus

logging.basicConfig(level=logging.WARNING)
shared_switch._EXPIRY = float(sys.argv[2])


async def main():
    bus = RedisBus(sys.argv[1])
    async with open_arc_relay(
        "127.0.0.1",
        bus=bus,
        heartbeat=math.inf,
        stall_timeout=600.0,
        max_agents=20_000,
        max_agents_per_host=20_000,
        register_limit=None,
    ) as relay:
        print(relay.port, flush=True)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            if line.strip() == "agents":
                print(len(relay.switch.agents), flush=True)


anyio.run(main, backend=sys.argv[3])
