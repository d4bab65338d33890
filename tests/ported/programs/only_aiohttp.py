"""It needs asyncio, and does not say so: a library that it imports does."""

import aiohttp
from vuer import Vuer
from vuer.schemas import Box, Scene

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    async with aiohttp.ClientSession() as client:
        print("closed", client.closed)
    session.upsert @ Box(key="end")
    await session.forever()
