"""MuJoCo in the browser, and other models from files."""

from vuer import Vuer
from vuer.events import MjRender, MjStep
from vuer.schemas import (
    ContribLoader,
    Glb,
    HandActuator,
    MotionControllerActuator,
    MuJoCo,
    MuJoCoProvider,
    Scene,
)

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(
        ContribLoader(
            MuJoCo(
                HandActuator(key="pinch", cond="right-squeeze", ctrlId=-1),
                MotionControllerActuator(key="grip", high=0, low=1, ctrlId=0),
                key="sim",
                src="/workspace/scene.mjcf.xml",
                assets="/workspace/a.obj",
                timeout=1000000,
                pause=True,
            ),
            key="loader",
            library="@vuer-ai/mujoco-ts",
            version="0.0.79",
        ),
        MuJoCoProvider(key="provider"),
        Glb(src="/workspace/a.glb", key="glb"),
    )
    session @ MjStep(key="sim", sim_steps=2, ctrl=[0.5, 0.25])
    session @ MjRender(key="sim")
    await session.forever()
