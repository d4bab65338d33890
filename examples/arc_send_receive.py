"""Say hello to everybody and to one agent, and print what comes.

    python examples/arc_send_receive.py

The relay is the one that ARC_RELAY_URL names; without it, one that runs here for a moment.
"""

import trio
from arc_relay import network

from vuer_trio.arc import open_arc_client


async def main():
    async with network() as url, open_arc_client(url, agent_id="my-agent") as client:
        await client.broadcast("Hello network!")
        await client.direct("agent-123", "Private message")
        await client.listen()


trio.run(main)
