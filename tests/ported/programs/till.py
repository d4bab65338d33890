"""Waiting for one event."""

import asyncio

from vuer import Vuer
from vuer.schemas import Box, Scene

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    event = await session.till("ON_CLICK")
    print("first click on", event.value["key"])
    session.upsert @ Box(key="box", material=dict(color="red"))
    event = await session.till("CONFIRM", timeout=60)
    print("confirmed", event.value)
    try:
        await session.till("NEVER_SENT_" + "BY_ANYBODY", timeout=0.05)
    except asyncio.TimeoutError:
        print("nothing")
    await session.forever()
