"""The real `vuer.Vuer` server with a scene that moves so often, for a page.

    python tests/programs/reference_scene.py 8012 75

ends with its standard input.
"""

import asyncio
import os
import sys
import threading

from vuer import Vuer, VuerSession
from vuer.schemas import Box, DefaultScene, Sphere


def exit_with_stdin() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


COUNT = int(sys.argv[2])
threading.Thread(target=exit_with_stdin, daemon=True).start()
app = Vuer(host="127.0.0.1", port=int(sys.argv[1]))


@app.spawn(start=True)
async def main(session: VuerSession) -> None:
    session.set @ DefaultScene(Box(key="box"))
    for number in range(1, COUNT + 1):
        session.upsert @ Box(key="box", position=[number / 8, 0, 0])
        if number % 50 == 1:
            session.upsert @ Sphere(key=f"ball{number}", args=[0.25], position=[0, number / 8, 0])
        await asyncio.sleep(0.03)
    await asyncio.Event().wait()
