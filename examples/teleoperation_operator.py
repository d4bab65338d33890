"""Send an operator's hand pose 60 times per second, with a pause of one second.

    python examples/teleoperation_operator.py    # see teleoperation_server.py

The server is at ws://localhost:8012 or VUER_CLIENT_URI.
"""

import math

import trio

from vuer_trio import Latest, open_vuer_client
from vuer_trio.events import ClientEvent

RATE = 60  # poses per second


class Pose(ClientEvent):
    etype = "POSE"


async def hold(client, seconds):
    start = trio.current_time()
    for n in range(round(seconds * RATE)):
        client.send @ Pose(value=[math.sin(n / RATE), 0.5, math.cos(n / RATE)])
        await trio.sleep_until(start + (n + 1) / RATE)


async def main():
    async with open_vuer_client(outbox=Latest()) as client:  # outdated poses are not sent
        await hold(client, seconds=1)
        await trio.sleep(1)
        await hold(client, seconds=1)
    print("done")


trio.run(main)
