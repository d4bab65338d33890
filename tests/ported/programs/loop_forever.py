"""An older way to stay."""

from vuer import Vuer
from vuer.schemas import Plane, Scene

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(Plane(key="floor", args=[10, 10]))
    await app.loop_forever()
