"""An object whose methods are handlers keeps what they see."""

import asyncio

import vuer
from vuer.events import ClientEvent
from vuer.schemas import DefaultScene, Sphere


class Viewer:
    def __init__(self, app):
        self.clicks = []
        self.camera = None
        app.add_handler("ON_CLICK", self.on_click)
        app.add_handler("CAMERA_MOVE", self.on_camera)
        app.spawn(self.show)

    async def on_click(self, event: ClientEvent, session):
        self.clicks.append(event.value["key"])
        if len(self.clicks) == 2:
            print("clicks", self.clicks)

    async def on_camera(self, event: ClientEvent, session):
        self.camera = event.value["camera"]["position"]
        session.upsert @ Sphere(key="eye", position=self.camera)

    async def show(self, session):
        session.set @ DefaultScene(show_helper=False)
        while True:
            await asyncio.sleep(1)


if __name__ == "__main__":
    app = vuer.Vuer()
    Viewer(app)
    app.start()
