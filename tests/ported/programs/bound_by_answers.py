"""Whatever a generator yields, it gets the browser's next event for it."""

from vuer import Vuer
from vuer.events import Set, Upsert
from vuer.schemas import Scene, Sphere

app = Vuer()


@app.bind(start=True)
async def show(session):
    event = yield Set(Scene())
    print("first", event.etype)
    while True:
        position = [0, 0, 0]
        if event == "CAMERA_MOVE":
            position = event.value["camera"]["position"]
        event = yield Upsert(Sphere(key="eye", name=event.etype, position=position))
