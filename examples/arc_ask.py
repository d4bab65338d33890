"""Ask all agents, and print the first answer.

    python examples/arc_ask.py

The relay is at ARC_RELAY_URL; without that variable, the example starts one of its own.
"""

import trio
from arc_relay import network

from vuer_trio.arc import open_arc_client


async def main():
    async with network() as url, open_arc_client(url) as client:
        answer = await client.ask("What's the weather?", timeout=30)
        print(f"Answer: {answer}" if answer else "No answer received")


trio.run(main)
