"""Cameras of all kinds, with what they see."""

from vuer import Vuer
from vuer.schemas import (
    CameraView,
    Frustum,
    OrbitControls,
    OrthographicCamera,
    PerspectiveCamera,
    Scene,
    SceneCamera,
    SceneCameraControl,
)

app = Vuer()


@app.add_handler("CAMERA_MOVE")
async def on_camera(event, session):
    camera = event.value["camera"]
    print(event.key, camera["position"], camera["fov"])
    session.update @ Frustum(key="frustum", position=camera["position"], fov=camera["fov"])


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(
        Frustum(key="frustum", near=0.1, far=2.0, showFrustum=True),
        CameraView(
            key="ego", fov=50, width=320, height=240, position=[0, 1, 2], stream="ondemand", fps=10
        ),
        PerspectiveCamera(key="p", makeDefault=False),
        OrthographicCamera(key="o", zoom=2),
        bgChildren=[
            SceneCamera(key="defaultCamera", position=[0, 0, 5]),
            SceneCameraControl(key="control", stream=True),
            OrbitControls(key="orbit", maxDistance=10),
        ],
    )
    await session.forever()
