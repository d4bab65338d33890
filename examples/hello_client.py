"""Say hello to a Vuer server, move its box, and print its events.

    python examples/hello_server.py      # in one terminal
    python examples/hello_client.py      # in another

The server is at ws://localhost:8012 or VUER_CLIENT_URI.
"""

import trio

from vuer_trio import open_vuer_client
from vuer_trio.events import ClientEvent


class Hello(ClientEvent):
    etype = "HELLO"


class MoveBox(ClientEvent):
    etype = "MOVE_BOX"


async def main():
    async with open_vuer_client() as client:
        client.send @ Hello(value={"message": "Hi!"})  # enqueued now
        await client.send(MoveBox(value={"position": [1, 0.5, 0]}))  # waits for room

        async for event in client:
            print(event.etype)
            if event == "UPSERT" and event.value["nodes"][0]["position"][0] == 1:
                break  # the box is where it should be


trio.run(main)
