# ported: endless
"""A curve, drawn at a rate, without an end."""

import asyncio
import math

import numpy as np
from vuer import Vuer
from vuer.schemas import DefaultScene, Line, Sphere

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(grid=False)
    n = 0
    while True:
        n += 1
        angle = n / 32
        session.upsert @ [
            Sphere(key="ball", position=[math.cos(angle), math.sin(angle), 0]),
            Line(key="axis", points=np.array([[0, 0, 0], [math.cos(angle), 0, 0]])),
        ]
        await asyncio.sleep(1 / 120)
