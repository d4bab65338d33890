"""Elements, each built with the classes of one library, ``s`` being its schemas."""

import copy
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image as Pillow

from tests.interop.reference_tests import root

Build = Callable[[Any], Any]

ASSETS = root() / "schemas" / "__tests__" / "assets"
PNG, JPEG = ASSETS / "dices.png", ASSETS / "dices.jpeg"

# -- what single classes do ----------------------------------------------------------------------

RGB = (np.arange(4 * 6 * 3) % 251).astype(np.uint8).reshape(4, 6, 3)
RGBA = (np.arange(4 * 6 * 4) % 251).astype(np.uint8).reshape(4, 6, 4)
FLOATS = np.linspace(0, 1, 4 * 6 * 3).reshape(4, 6, 3)
POINTS = np.linspace(-3, 3, 12).reshape(4, 3)
COLORS = np.linspace(0, 1, 12).reshape(4, 3)
TRIANGLES = np.array([[0, 1, 2], [1, 2, 3]])


def pillow(path: Path) -> Any:
    with Pillow.open(path) as image:
        image.load()
    return image


SAME: dict[str, Build] = {
    # text
    "span": lambda s: s.span("a", "b", key="k"),
    "span apart": lambda s: s.span("a", "b", sep="", key="k", style={"x": 1}),
    "span, no text": lambda s: s.span(key="k"),
    "span, text by name": lambda s: s.span("a", text="b", key="k"),
    "bold": lambda s: s.Bold("a", key="k"),
    "bold, own style": lambda s: s.Bold("a", style={"fontWeight": 900, "color": "red"}, key="k"),
    "italic": lambda s: s.Italic("a", "b", sep="-", style=None, key="k"),
    "italic, own style": lambda s: s.Italic("a", style={"color": "red"}, key="k"),
    "link": lambda s: s.Link("here", href="https://host", key="k"),
    "header": lambda s: s.Header("Title", key="k"),
    "string as children": lambda s: s.Paragraph(children="ab", key="k"),
    "text": lambda s: s.Text("Hi", fontSize=0.1, key="k"),
    "text in depth": lambda s: s.Text3D("Hi", "there", font="f.json", smooth=1, key="k"),
    "billboard": lambda s: s.Billboard(s.Text("a", key="t"), lockX=True, follow=False, key="k"),
    # own arguments
    "background": lambda s: s.BackgroundColor(),
    "background, given": lambda s: s.BackgroundColor("#fff", key="k"),
    "bounds": lambda s: s.BBox({"x": 0, "y": 0, "z": 0}, {"x": 1, "y": 2, "z": 3}, "red", 2),
    "bounds, by name": lambda s: s.BBox(max={"x": 1, "y": 2, "z": 3}, key="k"),
    "bounds with children": lambda s: s.BBox(children=[s.Box(key="b")], key="k"),
    "controllers": lambda s: s.MotionControllers("c", ["trigger"], False, True, False, fps=5),
    "controllers, no key": lambda s: s.MotionControllers(None),
    "controllers, by name": lambda s: s.MotionControllers(key="c", right=True),
    "room": lambda s: s.WebXRMesh("m", "red", 1, False, wireframe=True),
    "room, no key": lambda s: s.WebXRMesh(key=""),
    "fog": lambda s: s.Fog(color=0xCCCCCC, near=10, far=15),
    "robot": lambda s: s.Urdf(src="a.urdf", jointValues={"j1": np.float64(0.5)}, key="k"),
    "model in a file": lambda s: s.Obj(text="v 0 0 0", buff=b"\x01", key="k"),
    "simulation": lambda s: s.MuJoCo(src="a.xml", assets=["b.stl"], key="k", useLights=False),
    "curve": lambda s: s.CatmullRomLine(points=POINTS, vertexColors=COLORS.tolist(), key="k"),
    "track": lambda s: s.VectorTrack(times=np.arange(3), values=POINTS, key="k"),
    # pictures
    "image by address": lambda s: s.Image(src="https://host/a.png", key="k", height=2),
    "image in bytes": lambda s: s.Image(src=b"\x89PNG", key="k"),
    "image, no address": lambda s: s.Img(src="", key="k"),
    "image array": lambda s: s.Image(RGB, key="k"),
    "image array by name": lambda s: s.Image(data=RGB, key="k"),
    "image floats": lambda s: s.Img(FLOATS, key="k"),
    "image floats32": lambda s: s.Img(FLOATS.astype(np.float32), key="k", alt="text"),
    "image bools": lambda s: s.Img(RGB > 100, key="k"),
    "image alpha": lambda s: s.Img(RGBA, key="k"),
    "image gray": lambda s: s.Image(RGB[..., 0], key="k"),
    "image gray jpeg": lambda s: s.Image(RGB[..., 0], format="jpeg", key="k"),
    "image two channels": lambda s: s.Image(RGB[..., :2], key="k"),
    "image strided": lambda s: s.Image(RGB[::2, ::-1], key="k"),
    "image jpeg": lambda s: s.ImageBackground(RGB, format="jpeg", key="k", distanceToCamera=3),
    "image jpeg, quality": lambda s: s.ImageBackground(RGB, format="jpeg", quality=20, key="k"),
    "image base64": lambda s: s.Img(RGB, format="b64png", key="k"),
    "image base64 jpeg": lambda s: s.Img(RGB, format="b64jpeg", quality=50, key="k"),
    "image base64 as rgb": lambda s: s.Image(RGB, format="b64jpeg", key="k"),
    "image with a size": lambda s: s.Image(RGB, height=3, aspect=2, key="k"),
    "image without a size": lambda s: s.Image(RGB, height=None, aspect=None, key="k"),
    "image file": lambda s: s.Image(str(PNG), key="k"),
    "image path": lambda s: s.Image(PNG, key="k", position=[0, 1, 0]),
    "image file jpeg": lambda s: s.SceneBackground(JPEG, format="jpeg", quality=5, key="k"),
    "image pillow": lambda s: s.Image(pillow(PNG), key="k"),
    "image pillow jpeg": lambda s: s.Image(pillow(JPEG), format="jpeg", key="k"),
    "image pillow webp": lambda s: s.Img(pillow(JPEG), format="webp", key="k"),
    "image with children": lambda s: s.Image(RGB, children=[s.Box(key="b")], key="k"),
    "video": lambda s: s.VideoPlane(src="a.mp4", loop=True, key="k"),
    "video stream": lambda s: s.WebRTCVideoPlane(stream="camera", height=1, key="k"),
    # clouds
    "points": lambda s: s.PointCloud(vertices=POINTS, size=0.01, key="k"),
    "points by the short name": lambda s: s.p(vertices=POINTS, key="k"),
    "points strided": lambda s: s.PointCloud(vertices=POINTS[::2, ::-1], key="k"),
    "points of integers": lambda s: s.PointCloud(vertices=TRIANGLES, key="k"),
    "points in columns": lambda s: s.PointCloud(vertices=np.asfortranarray(POINTS), key="k"),
    "no points": lambda s: s.PointCloud(vertices=np.zeros((0, 3)), key="k"),
    "points and colours": lambda s: s.PointCloud(vertices=POINTS, colors=COLORS.copy(), key="k"),
    "points and colours as bytes": lambda s: s.PointCloud(
        vertices=POINTS, colors=np.arange(12, dtype=np.uint8).reshape(4, 3), key="k"
    ),
    "points and colours as integers": lambda s: s.PointCloud(
        vertices=POINTS, colors=np.arange(12).reshape(4, 3), key="k"
    ),
    "points and colours as halves": lambda s: s.PointCloud(
        vertices=POINTS, colors=COLORS.astype(np.float16), key="k"
    ),
    "points and four channels": lambda s: s.PointCloud(
        vertices=POINTS, colors=np.linspace(0, 1, 16).reshape(4, 4), key="k"
    ),
    "points, no colours": lambda s: s.PointCloud(vertices=POINTS, colors=None, key="k"),
    "points with children": lambda s: s.PointCloud(s.Box(key="b"), vertices=POINTS, key="k"),
    "triangles": lambda s: s.TriMesh(vertices=POINTS, faces=TRIANGLES, key="k"),
    "triangles, all": lambda s: s.TriMesh(
        vertices=POINTS,
        faces=TRIANGLES.astype(np.float64),
        colors=COLORS.copy(),
        uv=POINTS[:, :2],
        wireframe=True,
        key="k",
    ),
    "triangles and four channels": lambda s: s.TriMesh(
        vertices=POINTS, faces=TRIANGLES, colors=np.full((4, 4), 9, np.uint8), key="k"
    ),
    # scenes
    "map with an array as a child": lambda s: s.group({"tag": "x", "at": np.eye(2)}, key="k"),
    "default scene": lambda s: s.DefaultScene(s.Box(key="b"), key="s"),
    "default scene, all": lambda s: s.DefaultScene(
        s.Box(key="b"),
        rawChildren=[s.Sphere(key="r")],
        htmlChildren=[s.Page("text", key="h")],
        bgChildren=[s.Movable(s.Box(key="m"), key="g"), None],
        up=[0, 0, 1],
        grid=False,
        frameloop="demand",
        key="s",
    ),
    "default scene twice": lambda s: s.DefaultScene(s.DefaultScene(key="in"), key="s"),
    "own class": lambda s: type(
        "Own", (s.SceneElement,), {"tag": "Own", "key": "own", "unsent": 1}
    )(s.Box(key="b"), sent=2),
}


# -- what neither takes --------------------------------------------------------------------------

REFUSED: dict[str, tuple[Build, type[Exception], str]] = {
    "data and src": (lambda s: s.Img(RGB, src="a"), TypeError, "Img takes data or src, not both"),
    "no file": (lambda s: s.Image("none.png"), FileNotFoundError, "no such image file.*'none.png'"),
    "an address": (lambda s: s.Img("https://host/a.png"), OSError, "use src= for the address"),
    "no image": (lambda s: s.Img(__file__), OSError, "cannot identify image file"),
    "a folder": (lambda s: s.Img(ASSETS), OSError, "assets"),
    "file as base64": (lambda s: s.Img(PNG, format="b64png"), ValueError, "use png or jpeg"),
    "pillow as base64": (
        lambda s: s.Img(pillow(PNG), format="b64jpeg"),
        ValueError,
        "b64jpeg does not support base64",
    ),
    "alpha as jpeg": (lambda s: s.Img(RGBA, format="jpeg"), OSError, "cannot write mode RGBA"),
    "quality of png": (lambda s: s.Img(RGB, quality=5), TypeError, "quality= is for jpeg only"),
    "format of an array": (lambda s: s.Img(RGB, format="gif"), ValueError, "must be png, jpeg"),
    "format of an image": (lambda s: s.Img(pillow(PNG), format="nope"), ValueError, "'nope'"),
    "a line": (lambda s: s.Img(RGB[0, :, 0]), ValueError, r"shape of an image.*\(6,\)"),
    "five dimensions": (lambda s: s.Img(RGB[None, None]), ValueError, "shape of an image"),
    "five channels": (
        lambda s: s.Img(np.zeros((2, 2, 5), np.uint8)),
        ValueError,
        r"1 to 4 channels.*\(2, 2, 5\)",
    ),
    "empty image": (lambda s: s.Img(RGB[:0]), ValueError, r"\(0, 6, 3\)"),
    "no vertices": (lambda s: s.PointCloud(), TypeError, "vertices of <PointCloud.*got NoneType"),
    "a list of vertices": (
        lambda s: s.PointCloud(vertices=[[0, 0, 0]]),
        TypeError,
        "vertices of <PointCloud PointCloud key='.*> must be a numpy array, got list",
    ),
    "no faces": (lambda s: s.TriMesh(vertices=POINTS), TypeError, "faces of <TriMesh"),
    "a list of uv": (
        lambda s: s.TriMesh(vertices=POINTS, faces=TRIANGLES, uv=[]),
        TypeError,
        "uv of <TriMesh",
    ),
    "a list of colours": (
        lambda s: s.PointCloud(vertices=POINTS, colors=[[1, 0, 0]]),
        TypeError,
        "colors of <PointCloud.*got list",
    ),
    "colours of bools": (
        lambda s: s.PointCloud(vertices=POINTS, colors=COLORS > 0.5),
        TypeError,
        "colors of <PointCloud.*got bool",
    ),
    "fog with a child": (lambda s: s.Fog(s.Box()), TypeError, "Fog has no children"),
    "fog with children": (lambda s: s.Fog(children=[]), TypeError, "Fog has no children"),
    "span of a number": (lambda s: s.span(1), TypeError, "expected str instance, int found"),
    "a number as a child": (
        lambda s: s.Box(1, key="k"),
        TypeError,
        "child of <Box .* must be .*, got 1",
    ),
    "a list as a child": (
        lambda s: s.Box([0.3, 0.3, 0.3], key="k"),
        TypeError,
        r"must be an element, a string or a dict, got \[0.3, 0.3, 0.3\]",
    ),
    "a class as a child": (lambda s: s.group(s.Box), TypeError, "got the class Box itself"),
    "a number in a slot": (lambda s: s.Scene(bgChildren=[1]), TypeError, "child of <Scene"),
    "an element as a slot": (
        lambda s: s.Scene(htmlChildren=s.Box()),
        TypeError,
        "children of <Scene Scene key='.*> must be a list, got <Box Box key='",
    ),
    "an element without a sequence": (
        lambda s: s.group(children=s.Box()),
        TypeError,
        "children of <group .* must be a list, got <Box",
    ),
    "twice the same": (lambda s: s.BBox(None, min={}), TypeError, "multiple values"),
}


# -- where ours is another -----------------------------------------------------------------------

RAISES = "raises"


def colours_twice(s: Any) -> Any:
    colors = np.full((2, 3), 1 / 255)
    s.PointCloud(vertices=POINTS[:2], colors=colors)
    return s.PointCloud(vertices=POINTS[:2], colors=colors, key="k")


def scenes_share_up(s: Any) -> Any:
    s.Scene().up.append(9)
    try:
        return copy.deepcopy(s.Scene(key="s"))
    finally:
        s.Scene().up[:] = [0, 1, 0]


def gray_png(height: int, width: int) -> str:
    buffer = BytesIO()
    Pillow.new("L", (width, height)).save(buffer, format="png")
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode()


TWO_POINTS = POINTS[:2].astype("<f2").tobytes()

#: what is built, what the reference sends, what ours sends, and why
DEVIATIONS: dict[str, tuple[Build, Any, Any, str]] = {
    "no picture": (
        lambda s: s.Img(key="k", alt="text"),
        {},
        {"tag": "Img", "key": "k", "alt": "text"},
        "it loses tag and key, and the browser can draw nothing; the key is needed to update it",
    ),
    "an empty picture": (
        lambda s: s.ImageBackground([], key="k", height=1),
        {},
        {"tag": "ImageBackground", "key": "k", "height": 1},
        "the same",
    ),
    "a picture under its other name": (
        lambda s: s.Image(rgb=b"\x89PNG", key="k"),
        {},
        {"tag": "Image", "key": "k", "rgb": b"\x89PNG"},
        "the same",
    ),
    "a video without an address": (
        lambda s: s.WebRTCVideoMaterial(stream="camera", key="k"),
        {},
        {"tag": "WebRTCVideoMaterial", "key": "k", "stream": "camera"},
        "the same; it has no other form",
    ),
    "bytes as a picture": (
        lambda s: s.Img(b"\x89PNG", key="k"),
        {"tag": "Img", "key": "k", "src": None},
        RAISES,
        "it prints a line and sends no picture; ours says that bytes are src=",
    ),
    "one channel": (
        lambda s: s.Img(np.zeros((2, 3, 1), np.uint8), format="b64png", key="k"),
        RAISES,
        {"tag": "Img", "key": "k", "src": gray_png(2, 3)},
        "it means to send it as gray, and Pillow does not take the shape",
    ),
    "colours of one's own": (
        colours_twice,
        {"tag": "PointCloud", "key": "k", "vertices": TWO_POINTS, "colors": bytes([255] * 6)},
        {"tag": "PointCloud", "key": "k", "vertices": TWO_POINTS, "colors": bytes([1] * 6)},
        "it scales the caller's array in place, so that the next cloud has other colours",
    ),
    "four channels of an image": (
        lambda s: s.PointCloud(
            vertices=POINTS[:2],
            colors=np.arange(8, dtype=np.uint8).reshape(1, 2, 4),
            key="k",
        ),
        {"tag": "PointCloud", "key": "k", "vertices": TWO_POINTS, "colors": bytes(range(8))},
        {
            "tag": "PointCloud",
            "key": "k",
            "vertices": TWO_POINTS,
            "colors": bytes([0, 1, 2, 4, 5, 6]),
        },
        "it cuts the second axis whatever the shape is",
    ),
    "a tag of one's own": (
        lambda s: s.SceneElement(tag="Own", key="k"),
        RAISES,
        {"tag": "Own", "key": "k"},
        "a component of one's own needs no class",
    ),
    "None as a child": (
        lambda s: s.group(None, s.Box(key="b"), key="k"),
        RAISES,
        {"tag": "group", "key": "k", "children": [{"tag": "Box", "key": "b"}]},
        "a child that may be absent is written so; the slots of its scenes allow it",
    ),
    "an element as a property": (
        lambda s: s.Box(key="k", material=s.Material(key="m", color="red")),
        RAISES,
        {"tag": "Box", "key": "k", "material": {"tag": "material", "key": "m", "color": "red"}},
        "it fails on its way out",
    ),
    "a path of another kind": (
        lambda s: s.Glb(key="k", src=PurePosixPath("a/b.glb")),
        RAISES,
        {"tag": "Glb", "key": "k", "src": "a/b.glb"},
        "it fails on its way out",
    ),
    "text in a slot": (
        lambda s: s.Scene(htmlChildren=["text", {"tag": "div"}], key="s"),
        RAISES,
        {
            "tag": "Scene",
            "key": "s",
            "up": [0, 1, 0],
            "htmlChildren": ["text", {"tag": "div"}],
        },
        "what is a child is one in every slot",
    ),
    "a tuple in the raw slot": (
        lambda s: s.Scene(rawChildren=(s.Box(key="b"),), key="s"),
        RAISES,
        {
            "tag": "Scene",
            "key": "s",
            "up": [0, 1, 0],
            "rawChildren": [{"tag": "Box", "key": "b"}],
        },
        "the other slots take tuples",
    ),
    "an array as the background": (
        lambda s: s.Scene(background=np.zeros(2), key="s"),
        RAISES,
        {"tag": "Scene", "key": "s", "up": [0, 1, 0], "background": [0.0, 0.0]},
        "an array has no truth value",
    ),
    "the default of up": (
        scenes_share_up,
        {"tag": "Scene", "key": "s", "up": [0, 1, 0, 9]},
        {"tag": "Scene", "key": "s", "up": [0, 1, 0]},
        "its default is one list for all scenes",
    ),
}
