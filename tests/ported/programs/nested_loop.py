"""Work that has a loop of its own is done in a thread."""

import asyncio

from vuer import Vuer
from vuer.schemas import Box, Scene

app = Vuer()


async def plan():
    await asyncio.sleep(0.01)
    return [0.5, 0.25, 0.0]


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    loop = asyncio.get_running_loop()
    goal = await loop.run_in_executor(None, lambda: asyncio.run(plan()))
    print("goal", goal)
    session.upsert @ Box(key="goal", position=goal)
    await asyncio.to_thread(print, "from a thread")
    await session.forever()
