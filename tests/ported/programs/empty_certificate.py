"""Settings from a dictionary in which what is not wanted is empty."""

from vuer import Vuer
from vuer.schemas import Scene, Sphere

settings = {"host": "localhost", "cert": "", "key": "", "ca_cert": "", "domain": "https://vuer.ai"}
app = Vuer(**settings)


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(Sphere(key="ball"), up=[0, 0, 1])
    await session.forever()
