"""Subscribe to two agents, and print their messages.

    python examples/arc_subscribe.py

The relay is at ARC_RELAY_URL; without that variable, the example starts one of its own.
"""

import trio
from arc_relay import network

from vuer_trio.arc import open_arc_client


async def main():
    async with network() as url, open_arc_client(url, agent_id="subscriber-agent") as client:
        await client.subscribe(["agent-123", "agent-456"])
        await client.listen()


trio.run(main)
