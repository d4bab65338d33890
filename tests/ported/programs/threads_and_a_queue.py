"""A thread of the program produces, the session shows."""

import asyncio
import queue
import threading

import numpy as np
from vuer import Vuer
from vuer.schemas import PointCloud, Scene

points = queue.Queue()


def produce():
    for n in range(4):
        points.put(np.full((3, 3), n, dtype=np.float32))


app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    threading.Thread(target=produce, daemon=True).start()
    while True:
        while not points.empty():
            session.upsert @ PointCloud(key="cloud", vertices=points.get(), size=0.01)
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.01)
