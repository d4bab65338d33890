"""Keep listening while a relay restarts; give up if it does not come back.

    python examples/arc_robust.py

The relay is at ARC_RELAY_URL; without that variable, the example starts one of its own, twice.
"""

import trio
from arc_relay import network

from vuer_trio import Backoff, ConnectionFailed
from vuer_trio.arc import open_arc_client

# retry after 0.1 s, 0.2 s, ... up to 30 s; with a new token if the relay forgot the old one
STAY = {"reconnect": Backoff(initial=0.1, attempts=5), "reregister": True}


async def main():
    async with network(runs=2) as url, open_arc_client(url, **STAY) as client:
        try:
            await client.listen()
        except ConnectionFailed as failure:
            print(f"Giving up: {failure}")


trio.run(main)
