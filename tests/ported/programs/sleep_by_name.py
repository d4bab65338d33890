"""Only `sleep` is imported, and by name."""

from asyncio import sleep

from vuer import Vuer, VuerSession
from vuer.schemas import Box, Scene

app = Vuer()


@app.spawn(start=True)
async def main(session: VuerSession):
    session.set @ Scene(Box(key="box", args=[1, 1, 1]))
    i = 0
    while i < 5:
        i += 1
        session.update @ Box(key="box", position=[i * 0.1, 0, 0])
        await sleep(0.016)
    print("done after", i)
    while True:
        await sleep(10.0)
