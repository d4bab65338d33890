"""What the browser sends, in the shapes that it sends them in."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

from PIL import Image

Wire = dict[str, Any]

IDENTITY = [1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0]
JOINTS = 25


def init(client: str) -> Wire:
    value: Wire = {
        "client": client,
        "pkg": "@vuer-ai/vuer",
        "pkgVersion": "0.0.102",
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64)",
        "screenWidth": 1920,
        "screenHeight": 1080,
        "devicePixelRatio": 1,
        "timezone": "UTC",
        "timezoneOffset": 0,
    }
    if client == "python":
        value = {"client": client, "clientVersion": "0.1.6", "platform": "Linux"}
    return {"ts": time.time(), "etype": "INIT", "value": value}


def hand(shift: float) -> list[float]:
    """Matrices of the joints, each the next one up and a little to the side, column by column."""
    joints = []
    for joint in range(JOINTS):
        matrix = list(IDENTITY)
        matrix[12:15] = [shift, 1 + joint / 64, -shift]
        joints += matrix
    return joints


def _hand_move(shift: float) -> Wire:
    state = {
        **{"pinch": shift > 0.2, "pinchValue": shift, "squeeze": False, "squeezeValue": 0.25},
        **{"tap": False, "tapValue": 0.0},
    }
    value = {"left": hand(-shift), "right": hand(shift), "leftState": state, "rightState": state}
    return {"ts": time.time(), "etype": "HAND_MOVE", "key": "hands", "value": value}


def _controller_move(shift: float) -> Wire:
    matrix = list(IDENTITY)
    matrix[12:15] = [shift, 1.25, -0.5]
    state = {
        **{"trigger": shift > 0.2, "triggerValue": shift, "squeeze": False, "squeezeValue": 0.0},
        **{"touchpad": False, "touchpadValue": [0.0, 0.0]},
        **{"thumbstick": False, "thumbstickValue": [shift, -shift]},
        **{"aButton": shift > 0.2, "bButton": False},
    }
    value = {"left": matrix, "right": matrix, "leftState": state, "rightState": state}
    return {
        "ts": time.time(),
        "etype": "CONTROLLER_MOVE",
        "key": "motion-controllers",
        "value": value,
    }


def _camera_move(shift: float) -> Wire:
    matrix = list(IDENTITY)
    matrix[12:15] = [shift, 1.5, 2.0]
    camera = {
        **{"position": [shift, 1.5, 2.0], "rotation": [0.0, shift, 0.0, "XYZ"]},
        **{"quaternion": [0.0, 0.0, 0.0, 1.0], "matrix": matrix, "fov": 50, "near": 0.1},
        **{"far": 1000, "aspect": 1.5, "height": 600},
    }
    return {"etype": "CAMERA_MOVE", "key": "defaultCamera", "value": {"camera": camera}}


def _now(etype: str, value: Any, **more: Any) -> Wire:
    return {"ts": time.time(), "etype": etype, "value": value, **more}


def steps() -> Iterator[list[Wire]]:
    """What a user does, a list of events at a time."""
    yield [_camera_move(0.125), _camera_move(0.25)]
    yield [_now("ON_CLICK", {"key": "box"}), _now("ON_CLICK", {"key": "button"})]
    yield [_hand_move(0.125), _hand_move(0.25)]
    yield [_controller_move(0.125), _controller_move(0.25)]
    yield [
        {"ts": int(time.time() * 1000), "etype": "HEAD_MOVE", "value": {"matrix": IDENTITY}},
        _now("OBJECT_MOVE", {"matrix": IDENTITY}, key="box"),
        _now("GAMEPAD", {"axes": [0.5, -0.5], "buttons": [1, 0]}, key="gamepad-0"),
        _now("GAMEPAD-0", {"axes": [0.5, -0.5], "buttons": [1, 0]}),
        _now("KeyDown", {"key": "w", "code": "KeyW"}),
        _now("KeyUp", {"key": "w", "code": "KeyW"}),
    ]
    yield [
        {"etype": "SET", "key": "slider", "value": "3"},
        {"etype": "INPUT", "key": "input", "value": "hello\n"},
        {"etype": "UPLOAD", "key": "input", "value": b"\x00\x01"},
    ]


#: the types of `steps`, INIT and what nobody sends by himself
KNOWN = {wire["etype"] for step in steps() for wire in step} | {"INIT", "*"}


def custom(etypes: list[str]) -> list[Wire]:
    """Events of types that only a program knows."""
    return [_now(etype, [0.5, 0.25, 0.125], key="custom") for etype in etypes]


@cache
def picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 100, 50)).save(data, "JPEG")
    return data.getvalue()


def answer(request: Wire) -> Wire | None:
    """The browser's reply to a request, if it replies."""
    match request["etype"]:
        case "GRAB_RENDER":
            value: Any = {"dpr": 1, "delta": 16.0, "width": 8, "height": 6, "frame": picture()}
        case "GET_WEBXR_MESH":
            triangle = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
            mesh = {"vertices": triangle, "indices": [0, 1, 2], "semanticLabel": "floor"}
            value = {"meshes": [{**mesh, "matrix": IDENTITY}]}
        case "MJ_STEP" | "MJ_RENDER":  # without the plugin
            return None
        case _:
            value = {"ok": True}
    return _now(request["rtype"], value)
