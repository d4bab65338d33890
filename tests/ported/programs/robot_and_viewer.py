"""A server and its client in one program."""

import asyncio
import threading

from vuer import Vuer, VuerClient
from vuer.events import ClientEvent
from vuer.schemas import Box, Scene

app = Vuer(port=8321)
poses = []
somebody_looks = threading.Event()


@app.add_handler("POSE")
async def on_pose(event, session):
    poses.append(event.value)


@app.spawn(client="browser")
async def main(session):
    session.set @ Scene()
    somebody_looks.set()
    shown = 0
    while True:
        while shown < len(poses):
            session.upsert @ Box(key="robot", position=poses[shown])
            shown += 1
        await asyncio.sleep(0.01)


def robot():
    async def drive():
        async with VuerClient(uri="ws://localhost:8321") as client:
            for n in range(4):
                await client.send(ClientEvent(etype="POSE", value=[n, 0, 0]))
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)

    somebody_looks.wait()
    asyncio.run(drive())


threading.Thread(target=robot, daemon=True).start()
app.start()
