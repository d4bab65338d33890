"""A program that is a client: it asks, and reads what comes."""

import asyncio
import os

from vuer.client import VuerClient
from vuer.events import ClientEvent


async def main():
    async with VuerClient(uri=os.environ["VUER_CLIENT_URI"]) as client:
        await client.send(ClientEvent(etype="ECHO", value={"n": 1, "raw": b"\x01"}))
        for _ in range(3):
            event = await client.recv(timeout=10)
            print(event.etype, event.data)
        await client.send(ClientEvent(etype="ECHO", value="again"))
        await client.send(ClientEvent(etype="BYE", value=None))
        async for event in client:
            print("then", event.etype, event.data)
    print("over")


if __name__ == "__main__":
    asyncio.run(main())
