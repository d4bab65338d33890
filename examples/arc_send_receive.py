"""Send a message to all agents and one to a single agent, and print what arrives.

    python examples/arc_send_receive.py

The relay is at ARC_RELAY_URL; without that variable, the example starts one of its own.
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
