"""A generator that is driven by what the browser says."""

from vuer import Vuer
from vuer.events import NOOP, Set, Upsert
from vuer.schemas import Scene, Sphere

app = Vuer()


@app.bind
async def show(session):
    yield Set(Scene())
    while True:
        event = yield NOOP
        if event == "CAMERA_MOVE":
            session @ Upsert(Sphere(key="eye", position=event.value["camera"]["position"]))


app.run()
