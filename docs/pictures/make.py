"""Make ``scene.jpg``: what a browser shows of a scene from this library's server.

Run it where the tests run: with the dependency group ``dev`` installed, and a chromium.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests" / "browser"))

from chromium import chromium, executable  # noqa: E402
from stage import element, new_app, serving, until  # noqa: E402

from vuer_trio.events import Set  # noqa: E402
from vuer_trio.schemas import Element, Scene  # noqa: E402

WIDTH, HEIGHT = 960, 600  # pixels
SIDE = 13  # columns and rows
QUALITY = 0.85


def column(x: int, z: int) -> list[Element]:
    """A bar of a wave that runs outwards, with a ball on every third."""
    out = math.hypot(x, z)
    height = 0.4 + 1.7 * (1 + math.cos(out * 0.9)) * math.exp(-out / 6)
    hue = round(215 + 130 * math.exp(-out / 4))
    color = f"hsl({hue}, 65%, {58 + 8 * math.cos(out):.0f}%)"
    bar = element(
        "Box",
        f"bar {x} {z}",
        args=[0.9, height, 0.9],
        position=[x, height / 2, z],
        materialType="standard",
        material={"color": color, "roughness": 0.35},
    )
    if x % 3 or z % 3:
        return [bar]
    ball = element(
        "Sphere",
        f"ball {x} {z}",
        args=[0.33, 32, 32],
        position=[x, height + 0.33, z],
        materialType="standard",
        material={"color": "#ffe9c4", "roughness": 0.2},
    )
    return [bar, ball]


def scene() -> Scene:
    steps = range(-(SIDE // 2), SIDE // 2 + 1)
    return Scene(
        *(node for x in steps for z in steps for node in column(x, z)),
        element("GrabRender", "DEFAULT"),
        bgChildren=[
            element("AmbientLight", "ambient", intensity=0.7),
            element("DirectionalLight", "sun", position=[6, 10, 5], intensity=2.2),
            element(
                "DirectionalLight", "sky", position=[-8, 6, -4], intensity=0.8, color="#88aaff"
            ),
            element("SceneCamera", "camera", position=[6.5, 7.5, 11]),
            element("SceneCameraControl", "control", makeDefault=True),
        ],
    )


def main() -> None:
    path = executable()
    if path is None:
        sys.exit("there is no chromium on the PATH")
    file = HERE / "scene.jpg"
    with (
        chromium(path, WIDTH, HEIGHT) as browser,
        serving(new_app(), browser) as stage,
    ):
        tab = stage.open()
        tab.send(Set(scene()))

        pictures = [b""]

        def settled() -> bool:
            """Whether all is drawn: two pictures in a row are the same."""
            reply = tab.call(tab.session.grab_render, ttl=60, quality=QUALITY)
            pictures.append(reply.value["frame"])
            return pictures[-1] == pictures[-2]

        until(settled, "a picture that stays as it is")
    file.write_bytes(pictures[-1])
    print(f"{file}: {len(pictures[-1])} bytes")


if __name__ == "__main__":
    main()
