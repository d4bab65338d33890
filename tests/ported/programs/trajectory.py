"""A trajectory is read, converted and played once."""

from asyncio import sleep

import numpy as np
from vuer import Vuer
from vuer.frame import X2Y, Z2Y
from vuer.schemas import Box, CoordsMarker, DefaultScene, Trail

app = Vuer()
steps = np.stack([np.eye(4)] * 4)
steps[:, :3, 3] = np.arange(12).reshape(4, 3) / 8


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(Trail(Box(key="tip"), key="trail", width=0.1))
    for number, step in enumerate(steps):
        pose = Z2Y @ step @ X2Y
        session.upsert @ CoordsMarker(key="tip", matrix=pose.T.flatten().tolist())
        print(number, pose[:3, 3].tolist())
        await sleep(0.01)
    await session.forever()
