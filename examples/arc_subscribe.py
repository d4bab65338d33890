"""Subscribe to two agents, and print what they say.

    python examples/arc_subscribe.py

The relay is the one that ARC_RELAY_URL names; without it, one that runs here for a moment.
"""

import trio
from arc_relay import network

from vuer_trio.arc import open_arc_client


async def main():
    async with network() as url, open_arc_client(url, agent_id="subscriber-agent") as client:
        await client.subscribe(["agent-123", "agent-456"])
        await client.listen()


trio.run(main)
