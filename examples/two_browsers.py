"""A scene shared by all browsers, in which each sees the cameras of the others.

    python examples/two_browsers.py

The port is 8012 or VUER_PORT. Open https://vuer.ai?ws=ws://localhost:8012 in two windows and drag
in one: a cone moves in the other. If the web client of the `vuer` package is installed, the address
is http://localhost:8012.
"""

from importlib.util import find_spec
from pathlib import Path

from vuer_trio import SceneStore, Vuer, VuerSession
from vuer_trio.schemas import AmbientLight, Box, Cone, Grid, Scene, SceneCamera, SceneCameraControl

vuer = find_spec("vuer")
web_client = Path(vuer.origin).with_name("client_build") if vuer and vuer.origin else None

app = Vuer(client_root=web_client)
store = SceneStore()
store.set @ Scene(
    Box(key="box", position=[0, 0.5, 0], materialType="basic", material={"color": "tomato"}),
    bgChildren=[
        Grid(key="grid"),
        AmbientLight(key="light", intensity=1),
        SceneCamera(key="camera", position=[0, 2, 5]),
        SceneCameraControl(key="control", makeDefault=True, stream=True),  # sends its movements
    ],
)


def cone_of(session):
    return f"viewer {id(session)}"


@app.add_handler("CAMERA_MOVE")
async def on_camera(event, session: VuerSession):
    if not session.connected:  # what was read last comes here after the end of `main`
        return
    store.upsert @ Cone(
        key=cone_of(session),
        args=[0.4, 1, 32],
        position=event.value["camera"]["position"],
        materialType="basic",
        material={"color": "gold"},
    )


@app.spawn(start=True)
async def main(session: VuerSession):
    try:
        async with store.subscribe(session):
            await session.forever()
    finally:
        store.remove @ cone_of(session)
