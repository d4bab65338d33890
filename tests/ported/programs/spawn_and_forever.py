"""A scene that stays, and a box that a click moves."""

from vuer import Vuer, VuerSession
from vuer.schemas import Box, DefaultScene

app = Vuer()


@app.add_handler("ON_CLICK")
async def clicked(event, session: VuerSession):
    print("clicked", event.value["key"], event == "ON_CLICK")
    session.upsert @ Box(args=[0.2, 0.2, 0.2], key="box", position=[0.1, 0.2, 0.3])


@app.spawn(start=True)
async def main(session: VuerSession):
    session.set @ DefaultScene(Box(args=[0.2, 0.2, 0.2], key="box"), grid=False)
    await session.forever()
