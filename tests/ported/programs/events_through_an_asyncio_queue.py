"""A handler hands its events to the session by a queue."""

import asyncio

from vuer import Vuer
from vuer.schemas import Scene, Text

app = Vuer()
events = asyncio.Queue()


@app.add_handler("ON_CLICK")
async def on_click(event, session):
    await events.put(event.value["key"])


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    while True:
        key = await asyncio.wait_for(events.get(), timeout=60)
        print("got", key)
        session.upsert @ Text(f"you hit {key}", key="label")
