"""A user's program with many elements: `mypy --strict` must have nothing to say.

It is checked, not run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from PIL import Image as Pillow

from vuer_trio import VuerClient
from vuer_trio.events import Add, ClientEvent, Set, Update, Upsert
from vuer_trio.schemas import (
    AmbientLight,
    BackgroundColor,
    BBox,
    Billboard,
    Bold,
    Box,
    CameraView,
    Child,
    Color,
    CoordsMarker,
    DefaultScene,
    Element,
    Fog,
    Glb,
    Group,
    Hands,
    Header1,
    Image,
    ImageBackground,
    Img,
    Line,
    Markdown,
    MeshStandardMaterial,
    MotionControllers,
    Movable,
    MuJoCo,
    OrbitControls,
    Page,
    PerspectiveCamera,
    PointCloud,
    Rotation,
    Scene,
    SceneElement,
    Sphere,
    Text,
    Text3D,
    TriMesh,
    Urdf,
    Vector,
    VideoPlane,
    WebXRMesh,
    group,
    mesh,
    p,
    span,
)

POINTS = np.zeros((10, 3))


class Robot(Urdf):
    """A class of one's own, with an argument of its own."""

    key = "robot"

    def __init__(self, name: str, **props: Any) -> None:
        super().__init__(src=f"https://host/{name}.urdf", **props)


def marker(at: Vector, turned: Rotation = (0, 0, 0), color: Color = "red") -> SceneElement:
    return Group(
        CoordsMarker(position=at, rotation=turned, scale=0.1),
        Sphere(args=[0.01, 20, 20], position=at, color=color, materialType="standard"),
        key="marker",
    )


def shapes() -> list[SceneElement]:
    box = Box(args=[0.3, 0.3, 0.3], key="box", position=[0, 0.5, 0], rotation=[0, 0, 0, "XYZ"])
    assert_type(box, Box)
    assert_type(box.key, str)
    assert_type(box._serialize(), dict[str, Any])
    box.position = np.array([1, 2, 3])
    box.color = 0xFF0000
    return [
        box,
        Sphere(args=(0.1,), scale=2, quaternion=(0, 0, 0, 1), color=(1, 0.5, 0), opacity=0.5),
        Box(position=np.zeros(3), scale=[1, 2, 3], matrix=np.eye(4), hide=True, wireframe=True),
        Line(points=[[0, 0, 0], [1, 1, 1]], lineWidth=2, color="black", key="line"),
        mesh(MeshStandardMaterial(color="red", roughness=0.5), key="mesh"),
        marker([0, 1, 0]),
        marker(np.zeros(3), turned=(0, 0, 1.5, "ZYX"), color=0x00FF00),
    ]


def data() -> list[SceneElement]:
    return [
        PointCloud(vertices=POINTS, colors=POINTS, size=0.01, key="points", position=[0, 0, 1]),
        p(vertices=POINTS.astype(np.float32), color="red"),
        TriMesh(vertices=POINTS, faces=np.zeros((1, 3), np.int64), uv=None, key="triangles"),
        Image(np.zeros((4, 4, 3), np.uint8), format="jpeg", quality=80, position=[0, 1, -2]),
        Image(Path("a.png"), key="image", opacity=0.8, height=1),
        ImageBackground(Pillow.new("RGB", (4, 4)), key="background", distanceToCamera=10),
        VideoPlane(src="https://host/a.mp4", loop=True, key="video"),
    ]


def scene(*more: Child | None) -> DefaultScene:
    return DefaultScene(
        *shapes(),
        *data(),
        Movable(Box(key="grabbed"), "text", {"tag": "Box", "key": "plain"}, None, key="movable"),
        Robot("panda", jointValues={"joint1": 0.5}),
        Glb(src="https://host/a.glb", scale=0.4, key="model"),
        MuJoCo(src="https://host/a.xml", assets=["a.stl"], key="simulation", fps=30),
        Billboard(Text("Hi", fontSize=0.1), lockX=True, position=[0, 2, 0]),
        Text3D("Hi", font="https://host/font.json", letterSpacing=-0.1),
        BBox({"x": 0, "y": 0, "z": 0}, {"x": 1, "y": 1, "z": 1}, color="white", key="bounds"),
        *more,
        rawChildren=[group(AmbientLight(intensity=0.5, key="light"), key="raw")],
        htmlChildren=[Page(Header1("Title"), Markdown("# Text"), Bold("bold", sep=""), span("a"))],
        bgChildren=[
            Hands(stream=True, fps=30),
            MotionControllers("controllers", ["trigger"], stream=True, left=True),
            OrbitControls(makeDefault=True),
            PerspectiveCamera(fov=75, position=[2, 2, 2], lookAt=[0, 0, 0], key="camera"),
            CameraView(fov=50, width=320, height=240, key="ego", stream="ondemand"),
            BackgroundColor("#fff"),
            Fog(color=0xCCCCCC, near=1, far=10),
            WebXRMesh(opacity=0.5),
            None,
        ],
        up=[0, 0, 1],
        frameloop="demand",
        grid=False,
    )


def events(client: VuerClient) -> None:
    everything: Scene = scene(Img(src=b"...", alt="picture"), Element(tag="Own", key="own"))
    print(Set(everything), Add(*shapes(), to="group"), Update(Box(key="box", color="blue")))
    print(Upsert(Box(key="box", position=[1, 0, 0]), to="group"))
    client.send @ ClientEvent(etype="SCENE", value=[box._serialize() for box in shapes()])
