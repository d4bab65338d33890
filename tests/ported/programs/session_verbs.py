"""Every verb in each of its shapes."""

from asyncio import sleep

from vuer import Vuer
from vuer.schemas import Box, Group, Scene, Sphere

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(Group(key="group"), Box(key="box"))
    session.add @ Sphere(key="s0")
    session.add @ [Sphere(key="s1"), Sphere(key="s2")]
    session.add @ (Sphere(key="s3"), Sphere(key="s4"))
    session.add(Sphere(key="s5"), to="group")
    session.add([Sphere(key="s6"), Sphere(key="s7")], to="group")
    session.update @ {"key": "box", "tag": "Box", "position": [1, 0, 0]}
    session.update @ [Box(key="box", position=[0, 1, 0]), Sphere(key="s0", args=[0.5])]
    session.update(Box(key="box", position=[0, 0, 1]))
    session.upsert @ Box(key="box", rotation=[0, 0.5, 0])
    session.upsert @ [Box(key="b1"), Box(key="b2")]
    session.upsert(Box(key="b3"), to="group", strict=True)
    session.upsert([Box(key="b4"), Box(key="b5")], to="group")
    await sleep(0.01)
    session.remove @ "s0"
    session.remove @ ["s1", "s2"]
    session.remove @ ("s3",)
    session.remove("s4")
    await session.forever()
