"""The keywords with which teleoperation servers are made."""

from asyncio import sleep

from vuer import Vuer
from vuer.schemas import DefaultScene, MotionControllers

app = Vuer(host="0.0.0.0", queries=dict(grid=False, collapseMenu=True), queue_len=3, verbose=False)


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene()
    await sleep(0.05)
    session.upsert(MotionControllers(stream=True, key="motion-controllers"), to="children")
    while True:
        await sleep(1)
