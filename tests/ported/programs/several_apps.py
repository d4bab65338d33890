"""Two servers, each in its thread."""

import threading
import time

from vuer import Vuer
from vuer.schemas import Box, Scene, Sphere

first = Vuer(port=8012)
second = Vuer(port=8013)


@first.spawn
async def boxes(session):
    session.set @ Scene(Box(key="box"))
    await session.forever()


@second.spawn
async def spheres(session):
    session.set @ Scene(Sphere(key="ball"))
    await session.forever()


for app in (first, second):
    threading.Thread(target=app.start, daemon=True).start()
while True:
    time.sleep(1)
