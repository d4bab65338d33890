"""An app and elements that are subclasses."""

from vuer import Vuer
from vuer.schemas import Box, Scene, SceneElement


class Beacon(SceneElement):
    tag = "Beacon"
    intensity = 2

    def __init__(self, *, power, **kwargs):
        self.power = power
        super().__init__(**kwargs)


class RedBox(Box):
    def __post_init__(self, **kwargs):
        self.material = dict(color="red")


app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(Beacon(power=0.5, key="beacon", position=[1, 0, 0]), RedBox(key="box"))
    await session.forever()
