"""The program makes the loop, puts a task into it, and then starts the server."""

import asyncio

from vuer import Vuer
from vuer.schemas import Scene, Sphere

app = Vuer()
sessions = []


async def worker():
    n = 0
    while True:
        await asyncio.sleep(0.02)
        for session in sessions:
            if n < 3:
                n += 1
                session.upsert @ Sphere(key="ball", position=[n, 0, 0])


@app.spawn
async def main(session):
    session.set @ Scene()
    sessions.append(session)
    await session.forever()


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.create_task(worker())
app.start()
