"""An operator's hand, 60 times a second; it lets go for a second, and takes hold again.

    python examples/teleoperation_operator.py    # see teleoperation_server.py

The server is at ws://localhost:8012, or where VUER_CLIENT_URI says.
"""

import math

import trio

from vuer_trio import Latest, open_vuer_client
from vuer_trio.events import ClientEvent

RATE = 60  # poses a second


class Pose(ClientEvent):
    etype = "POSE"


async def hold(client, seconds):
    start = trio.current_time()
    for n in range(round(seconds * RATE)):
        client.send @ Pose(value=[math.sin(n / RATE), 0.5, math.cos(n / RATE)])
        await trio.sleep_until(start + (n + 1) / RATE)


async def main():
    async with open_vuer_client(outbox=Latest()) as client:  # an old pose is not sent at all
        await hold(client, seconds=1)
        await trio.sleep(1)
        await hold(client, seconds=1)
    print("done")


trio.run(main)
