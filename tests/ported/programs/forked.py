"""One process for each app, forked."""

import multiprocessing
import time

from vuer import Vuer
from vuer.schemas import Scene, Torus


def serve():
    app = Vuer()

    @app.spawn(start=True)
    async def main(session):
        session.set @ Scene(Torus(key="ring", args=[0.5, 0.1, 8, 16]))
        await session.forever()


if __name__ == "__main__":
    child = multiprocessing.get_context("fork").Process(target=serve)
    child.start()
    while child.is_alive():
        time.sleep(0.05)
