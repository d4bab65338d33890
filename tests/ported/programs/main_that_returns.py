"""The session ends when the function does."""

from asyncio import sleep

from vuer import Vuer
from vuer.schemas import Box, Scene

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(Box(key="box"))
    await sleep(0.3)
    print("good bye")
