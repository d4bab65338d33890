"""What a handler raises ends nothing."""

from vuer import Vuer
from vuer.schemas import Box, Scene

app = Vuer()


@app.add_handler("ON_CLICK")
async def broken(event, session):
    session.upsert @ Box(key="before")
    print("about to fail")
    raise RuntimeError("no robot")


@app.add_handler("HAND_MOVE")
async def sound(event, session):
    session.upsert @ Box(key="after")


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    await session.forever()
