"""Go on listening when the relay goes away and comes back; give up when it stays away.

    python examples/arc_robust.py

The relay is the one that ARC_RELAY_URL names; without it, one that runs here, twice, for a moment.
"""

import trio
from arc_relay import network

from vuer_trio import Backoff, ConnectionFailed
from vuer_trio.arc import open_arc_client

# after 0.1 s, 0.2 s, ... up to 30 s; with a new token if the relay has forgotten the old one
STAY = {"reconnect": Backoff(initial=0.1, attempts=5), "reregister": True}


async def main():
    async with network(runs=2) as url, open_arc_client(url, **STAY) as client:
        try:
            await client.listen()
        except ConnectionFailed as failure:
            print(f"Giving up: {failure}")


trio.run(main)
