"""A handler that is taken back, and one for one time."""

from vuer import Vuer
from vuer.schemas import Scene

app = Vuer()
seen = []


async def on_click(event, session):
    seen.append(event.value["key"])
    if len(seen) == 2:
        print("saw", seen)
        forget()


async def only_once(event, session):
    print("once", event.value["camera"]["position"])


forget = app.add_handler("ON_CLICK", on_click)
app.add_handler("CAMERA_MOVE", only_once, once=True)


@app.add_handler("HAND_MOVE", once=True)
async def first_hand(event, session):
    print("a hand", event.value["right"][12])


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    await session.forever()
