# ported: clients=browser,python
"""Who connects decides what runs."""

from vuer import Vuer
from vuer.schemas import Box, Scene, Sphere

app = Vuer()


@app.spawn(client="python", platform="Lin*")
async def for_programs(session):
    print("a program")
    session.set @ Scene(Box(key="for-programs"))
    await session.forever()


@app.spawn(client="browser")
async def for_browsers(session):
    print("a browser")
    session.set @ Scene(Sphere(key="for-browsers"))
    await session.forever()


app.start()
