"""Which pages may connect, and a port that is made free if need be."""

from vuer import Vuer
from vuer.schemas import Cylinder, Scene

app = Vuer(cors="https://vuer.ai,http://localhost:3000,*", workspace=".")


@app.spawn
async def main(session):
    session.set @ Scene(Cylinder(key="can", args=[0.1, 0.1, 0.4, 16]))
    await session.forever()


app.run(free_port=True)
