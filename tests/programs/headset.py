"""A server for a headset, as its user starts it: the scene moves."""

import trio

from vuer_trio import Vuer
from vuer_trio.schemas import Box, DefaultScene

app = Vuer(port=0, tls="auto", token="open-sesame")


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(Box(key="box"))
    for n in range(1_000_000):
        session.upsert @ Box(key="box", position=[0, 0, n])
        await trio.sleep(0.05)
