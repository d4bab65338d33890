# ported: sessions=2 unordered
"""Each browser has its own main; what one does, all see."""

from vuer import Vuer
from vuer.schemas import Scene, Text

app = Vuer()
everybody = []


@app.add_handler("CAMERA_MOVE")
async def on_camera(event, session):
    for other in everybody:
        other.upsert @ Text("looking", key="note", position=event.value["camera"]["position"])


@app.spawn(start=True)
async def main(session):
    everybody.append(session)
    session.set @ Scene(Text(f"browser {len(everybody)}", key="name"))
    await session.forever()
