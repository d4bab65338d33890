"""Tasks beside the session's main function; one of them is cancelled."""

import asyncio

from vuer import Vuer
from vuer.schemas import Box, Scene, Sphere

app = Vuer()


async def move(session, key, count):
    for n in range(count):
        session.upsert @ Box(key=key, position=[0, n / 8, 0])
        await asyncio.sleep(0.005)
    print(key, "arrived")


async def blink():
    while True:
        await asyncio.sleep(0.005)


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    task = session.spawn_task(blink(), name="blink")
    await asyncio.sleep(0.03)
    task.cancel()
    session.spawn_task(move(session, "slow", 4))
    await asyncio.sleep(0.2)
    session.upsert @ Sphere(key="end")
    await session.forever()
