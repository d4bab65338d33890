"""Lights, arrows, frames, lines and text."""

from vuer import Vuer
from vuer.schemas import (
    AmbientLight,
    Arrow,
    CatmullRomLine,
    CoordsMarker,
    CubicBezierLine,
    DirectionalLight,
    Fog,
    Grid,
    HemisphereLight,
    Line,
    PointLight,
    Scene,
    SpotLight,
    Text,
    Text3D,
)

app = Vuer()
POINTS = [[0, 0, 0], [1, 0, 0], [1, 1, 0]]


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(
        AmbientLight(intensity=0.5, key="ambient", hide=False),
        DirectionalLight(intensity=1, position=[1, 1, 1], key="sun", helper=True),
        PointLight(key="lamp", position=[0, 1, 0]),
        SpotLight(key="spot", angle=0.5),
        HemisphereLight(key="sky"),
        Arrow(key="arrow", scale=0.1, position=[0, 0, 0], direction=[0, 1, 0]),
        CoordsMarker(key="origin", scale=0.2, lod=0.5),
        Line(points=POINTS, key="line", color="blue", lineWidth=2),
        CatmullRomLine(points=POINTS, key="smooth", closed=True),
        CubicBezierLine(start=[0, 0, 0], end=[1, 1, 1], midA=[0, 1, 0], midB=[1, 0, 0], key="bent"),
        Text("hello", key="text", fontSize=0.2),
        Text3D("deep", key="text3d"),
        Fog(color="white", near=1, far=10, key="fog"),
        bgChildren=[Grid(key="grid")],
        background="#222222",
    )
    await session.forever()
