"""Move a box along a curve, 60 times per second.

    python examples/remote_control_server.py          # in one terminal
    python examples/remote_control_client.py          # in another: 200 poses
    python examples/remote_control_client.py 1000     # or as many as you like

The server is at ws://localhost:8012 or VUER_CLIENT_URI.
"""

import math
import sys

import trio

from vuer_trio import open_vuer_client
from vuer_trio.events import ClientEvent

RATE = 60  # poses per second


class SetPosition(ClientEvent):
    etype = "SET_POSITION"


async def main(count):
    async with open_vuer_client() as client:
        start = trio.current_time()
        for i in range(count):
            t = i * 0.05
            position = [math.sin(t) * 2, 0.5 + math.sin(t * 2) * 0.3, 0]
            client.send @ SetPosition(value={"position": position})
            await trio.sleep_until(start + (i + 1) / RATE)  # does not drift
        client.send @ SetPosition(value={"position": [0, 0.5, 0]})  # back to the start
        await client.flush(timeout=5)  # the server has read everything
        print(f"{count} poses in {trio.current_time() - start:.1f} s")


trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 200)
