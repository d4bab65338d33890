"""Handle messages by their type.

    python examples/arc_handler.py

The relay is at ARC_RELAY_URL; without that variable, the example starts one of its own.
"""

import trio
from arc_relay import network

from vuer_trio.arc import open_arc_client

WORDS = {"question": "Question from {}: {}", "discovery": "Agent discovered: {}"}


async def handle_message(message):
    print(WORDS.get(message.type, "{}: {}").format(message.sender, message.payload))


async def main():
    async with network() as url, open_arc_client(url) as client:
        await client.listen(handle_message)


trio.run(main)
