"""A table of sessions by the id of their socket, and sending by it."""

from vuer import Vuer
from vuer.events import Upsert
from vuer.schemas import Box, Scene, Sphere

app = Vuer()
sessions = {}


@app.add_handler("ON_CLICK")
async def on_click(event, session):
    assert sessions[session.CURRENT_WS_ID] is session
    assert session.CURRENT_WS_ID in app.ws
    await app.send(session.CURRENT_WS_ID, Upsert(Box(key="hit")))
    for ws_id in list(session.vuer.ws):
        await session.vuer.send(ws_id=ws_id, event=Upsert(Sphere(key="to-all")))
    print("there are", len(app.ws))


@app.spawn(start=True)
async def main(session):
    sessions[session.CURRENT_WS_ID] = session
    session.set @ Scene()
    await session.forever()
