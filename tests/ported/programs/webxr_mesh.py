"""The room as the headset sees it."""

from vuer import Vuer
from vuer.schemas import DefaultScene, WebXRMesh

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(WebXRMesh(key="webxr-mesh", stream=False))
    room = await session.get_webxr_mesh(key="webxr-mesh", ttl=5)
    for mesh in room.value["meshes"]:
        print(mesh["semanticLabel"], len(mesh["vertices"]) // 3, mesh["indices"])
    await session.forever()
