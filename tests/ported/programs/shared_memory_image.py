"""Another process writes a picture into shared memory; the server shows it."""

import asyncio
import time
from multiprocessing import Process, shared_memory

import numpy as np
from vuer import Vuer, VuerSession
from vuer.schemas import DefaultScene, ImageBackground

SHAPE = (24, 32, 3)


def serve(name):
    block = shared_memory.SharedMemory(name=name)
    picture = np.ndarray(SHAPE, dtype=np.uint8, buffer=block.buf)
    app = Vuer(queue_len=3)

    @app.spawn
    async def main(session: VuerSession):
        session.set @ DefaultScene()
        while True:
            session.upsert(
                ImageBackground(
                    picture, format="jpeg", quality=60, key="camera", interpolate=True, aspect=4 / 3
                ),
                to="bgChildren",
            )
            await asyncio.sleep(1 / 60)

    app.run()


if __name__ == "__main__":
    block = shared_memory.SharedMemory(create=True, size=int(np.prod(SHAPE)))
    try:
        picture = np.ndarray(SHAPE, dtype=np.uint8, buffer=block.buf)
        picture[:] = np.linspace(0, 255, picture.size, dtype=np.uint8).reshape(SHAPE)
        server = Process(target=serve, args=(block.name,), daemon=True)
        server.start()
        while server.is_alive():
            time.sleep(0.1)
    finally:
        block.close()
        block.unlink()
