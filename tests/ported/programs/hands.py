"""Hands as matrices, and what of them a robot needs."""

import numpy as np
from vuer import Vuer
from vuer.frame import Y2Z, to_mat
from vuer.schemas import CoordsMarker, Hands, Scene

app = Vuer()
TIPS = [4, 9, 14, 19, 24]


@app.add_handler("HAND_MOVE")
async def on_hand(event, session):
    joints = np.array(event.value["right"]).reshape(25, 4, 4, order="F")
    wrist = Y2Z @ joints[0]
    tips = joints[TIPS, :3, 3] - joints[0, :3, 3]
    print("wrist", wrist[:3, 3].round(4).tolist(), "tips", tips[:, 1].round(4).tolist())
    session.upsert @ CoordsMarker(
        key="wrist", matrix=joints[0].T.flatten(), headScale=0.5, scale=0.1
    )


@app.spawn(start=True)
async def main(session):
    print(to_mat([1, 2, 3], [0, 0, 2, 2]).round(6).tolist())
    session.set @ Scene()
    session.upsert(
        Hands(fps=30, stream=True, key="hands", showLeft=False, showRight=False), to="bgChildren"
    )
    await session.forever()
