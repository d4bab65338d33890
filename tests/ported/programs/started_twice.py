# ported: signal=INT
"""The decorator starts it, and a line below would do so again."""

from vuer import Vuer
from vuer.schemas import Box, Scene

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(Box(key="box"))
    await session.forever()


app.run()
