"""One half of a picture for each eye, in one upsert."""

import asyncio

import numpy as np
from vuer import Vuer
from vuer.schemas import DefaultScene, ImageBackground

app = Vuer(queue_len=3)
picture = np.zeros((20, 64, 3), dtype=np.uint8)
picture[:, :32, 0] = 200
picture[:, 32:, 2] = 200


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene()
    while True:
        left, right = (
            ImageBackground(
                half,
                format="jpeg",
                quality=80,
                key=f"background-{side}",
                interpolate=True,
                aspect=1.778,
                distanceToCamera=10,
                layers=layers,
                height=1,
            )
            for side, half, layers in (
                ("left", picture[:, :32], 1),
                ("right", picture[:, 32:], 2),
            )
        )
        session.upsert([left, right], to="bgChildren")
        await asyncio.sleep(0.016)
