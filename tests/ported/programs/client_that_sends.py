"""A program that is a client: it sends, and leaves."""

import asyncio

import numpy as np
from vuer import VuerClient
from vuer.events import ClientEvent
from vuer.schemas import Box


class Pose(ClientEvent):
    etype = "POSE"


async def main():
    async with VuerClient() as client:
        print("connected", client.connected)
        for n in range(3):
            await client.send(Pose(value=[n / 8, 0, 0], key="arm"))
        client.send @ Pose(value=np.eye(2))
        await asyncio.sleep(0.2)
        await client.send(ClientEvent(etype="ADDED", value=[Box(key="b")]))
        await asyncio.sleep(0.2)
    print("left")


asyncio.run(main())
