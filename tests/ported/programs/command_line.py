"""The port is an option, the app is made in a function."""

import argparse
import asyncio

from vuer import Vuer, VuerSession
from vuer.schemas import DefaultScene, Sphere


def build(port):
    app = Vuer(port=port, host="localhost")

    async def main(session: VuerSession):
        session.set @ DefaultScene()
        await asyncio.sleep(0.0)
        session.upsert @ Sphere(key="ball", args=[0.1, 32, 32])
        while True:
            await asyncio.sleep(0.5)

    app.spawn(main)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8124)
    build(parser.parse_args().port).start()
