"""A generator yields what is sent, some of it at a rate."""

from vuer import Vuer
from vuer.events import NOOP, Frame, Set, Update
from vuer.schemas import Box, Scene

app = Vuer()


@app.bind(start=True)
async def show(session):
    yield Set(Scene(Box(key="box")))
    for n in range(5):
        yield Frame(Update(Box(key="box", position=[n / 8, 0, 0])), frame_rate=120)
    while True:
        event = yield NOOP
        if event == "ON_CLICK":
            print("clicked", event.value["key"])
