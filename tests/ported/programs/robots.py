"""A robot whose joints follow a handler."""

import math

from vuer import Vuer
from vuer.schemas import DefaultScene, Urdf

app = Vuer(workspace=".")
JOINTS = ("hip", "knee", "ankle")


def pose(t):
    return {name: math.sin(t + n) for n, name in enumerate(JOINTS)}


@app.add_handler("URDF_TICK")
async def tick(event, session):
    session.update @ Urdf(key="robot", jointValues=pose(event.value[0]))


@app.spawn(start=True)
async def main(session):
    session.set @ DefaultScene(
        Urdf(
            src=f"{app.localhost_prefix}/robot.urdf",
            jointValues=pose(0.0),
            key="robot",
            position=[0, 0, 0.5],
        ),
        up=[0, 0, 1],
    )
    await session.forever()
