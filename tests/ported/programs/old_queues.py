"""What the browser has said is taken from the session's queue."""

import asyncio

from vuer import Vuer
from vuer.schemas import Scene, Sphere

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.clear()
    session.set @ Scene()
    while True:
        event = session.popleft()
        if event is not None and event.etype == "ON_CLICK":
            print("popped", event.value["key"])
            session.upsert @ Sphere(key=event.value["key"])
        await asyncio.sleep(0.005)
