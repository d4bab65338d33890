# ported: signal=INT
"""A handler that blocks, as robots' libraries do."""

import time

from vuer import Vuer
from vuer.schemas import Box, Scene

app = Vuer()


@app.add_handler("ON_CLICK")
async def grip(event, session):
    time.sleep(0.05)  # noqa: ASYNC251
    session.upsert @ Box(key=event.value["key"])
    print("gripped", event.value["key"])


@app.spawn(start=True)
async def main(session):
    session.set @ Scene()
    await session.forever()
