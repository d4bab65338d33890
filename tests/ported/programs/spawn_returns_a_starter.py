"""What the decorator returns starts the server."""

from vuer import Vuer
from vuer.schemas import Cone, Scene

app = Vuer()


@app.spawn()
async def main(session):
    session.set @ Scene(Cone(key="cone"))
    await session.forever()


if __name__ == "__main__":
    main.start()
