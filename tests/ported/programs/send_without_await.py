"""The session's `send` is a plain function."""

from vuer import Vuer
from vuer.events import Set
from vuer.schemas import Box, Scene

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.send(Set(Scene(Box(key="last"))))
    await session.forever()
