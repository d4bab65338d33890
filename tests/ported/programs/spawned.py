"""The server's process is started anew and gets its queue as an argument."""

import asyncio
import multiprocessing
import queue

from vuer import Vuer
from vuer.schemas import Scene, Sphere


def serve(poses):
    app = Vuer()

    @app.spawn
    async def main(session):
        session.set @ Scene()
        while True:
            try:
                session.upsert @ Sphere(key="ball", position=poses.get_nowait())
            except queue.Empty:
                await asyncio.sleep(0.01)

    app.run()


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    poses = context.Queue()
    for n in range(5):
        poses.put([n / 8, 0.0, 0.0])
    server = context.Process(target=serve, args=(poses,))
    server.start()
    server.join()
