"""Several loops of a session run beside each other."""

import asyncio

from vuer import Vuer
from vuer.schemas import Box, DefaultScene, Sphere

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene()
    await asyncio.sleep(0.02)
    scene_is_set = asyncio.Event()

    async def boxes():
        await scene_is_set.wait()
        for n in range(4):
            session.upsert @ Box(key="box", position=[n / 4, 0, 0])
            await asyncio.sleep(0.01)

    async def spheres():
        await asyncio.sleep(0.1)
        for n in range(4):
            session.upsert @ Sphere(key="ball", position=[0, n / 4, 0])
            await asyncio.sleep(0.01)
        return "spheres"

    scene_is_set.set()
    print(await asyncio.gather(boxes(), spheres()))
    await asyncio.Event().wait()
