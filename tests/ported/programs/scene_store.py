# ported: shown-on-entry
"""A scene that lives beside the sessions."""

from vuer import Vuer
from vuer.rtc import SceneStore
from vuer.schemas import Box, Scene, Sphere

app = Vuer()
store = SceneStore()


@app.spawn(start=True)
async def main(session):
    async with store.subscribe(session):
        store.set @ Scene(Box(key="box"))
        store.upsert @ Sphere(key="ball", position=[1, 0, 0])
        store.add @ Box(key="late")
        store.update @ Box(key="box", position=[0, 1, 0])
        store.remove @ "late"
        print(store.get("ball")["position"], [c["key"] for c in store.scene_data["children"]])
        await session.forever()
