"""Make the pictures of the README and the guide: what a browser shows of this library's server.

Run it where the tests run: with the dependency group ``dev`` installed, and a chromium. Arguments
choose some of them: ``scene``, ``animation``, ``tutorial``, ``urdf``.
"""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TUTORIAL = HERE.parent / "tutorial.md"
URDF = HERE.parent / "urdf.md"
sys.path[:0] = [str(ROOT), str(HERE)]

from gallery import HIDDEN  # noqa: E402

from tests.browser.browser_harness import element, new_app, serving, until  # noqa: E402
from tests.browser.chromium import chromium, executable  # noqa: E402
from tests.docs.doc_blocks import Block, blocks  # noqa: E402
from vuer_trio.events import Set, Upsert  # noqa: E402
from vuer_trio.schemas import Box, DefaultScene, Element, Scene  # noqa: E402

WIDTH, HEIGHT = 960, 600  # pixels
SIDE = 13  # columns and rows
QUALITY = 0.85
SCALE = 0.85  # of a window in its picture
GAP = 8  # pixels between two windows
SETTLE = 3.0  # seconds, until a page has drawn what it has
FRAMES = 48  # of the animation, which is one turn of the ring
FRAME = 0.1  # seconds that each of them is shown


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


def picture_of_scene(browser: Any) -> bytes:
    with serving(new_app(), browser) as stage:
        tab = stage.open()
        tab.send(Set(scene()))
        pictures = [b""]

        def settled() -> bool:
            """Whether all is drawn: two pictures in a row are the same."""
            reply = tab.call(tab.session.grab_render, ttl=60, quality=QUALITY)
            pictures.append(reply.value["frame"])
            return pictures[-1] == pictures[-2]

        until(settled, "a picture that stays as it is")
        return pictures[-1]


# ---- what the programs of the tutorial show


@contextmanager
def running(program: Path) -> Iterator[int]:
    """A program that serves, as its reader starts it; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, program],
        cwd=program.parent,
        env={**os.environ, "VUER_PORT": str(port), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        server.stdout.readline()  # Vuer is at ...
        yield port
    finally:
        server.terminate()
        server.communicate()


def open_page(
    browser: Any, page_port: int, port: int, width: int, height: int, key: str = "box"
) -> Any:
    """A page of the web client that shows what is served at ``port``, which has a node ``key``."""
    page = browser.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"http://127.0.0.1:{page_port}/?ws=ws://127.0.0.1:{port}")
    has_it = f"window.VUER?.useSceneStore?.getState().children.some(n => n.key === '{key}')"
    page.wait_for_function(has_it, polling=50)
    time.sleep(SETTLE)
    return page


def shot(*pages: Any, left: int = 0) -> bytes:
    """The pages side by side and smaller, as a JPEG, without ``left`` pixels at both sides."""
    images = []
    for page in pages:
        page.bring_to_front()
        image = Image.open(BytesIO(page.screenshot())).convert("RGB")
        image = image.crop((left, 0, image.width - left, image.height))
        size = (round(image.width * SCALE), round(image.height * SCALE))
        images.append(image.resize(size, Image.Resampling.LANCZOS))
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    whole = Image.new("RGB", (width, images[0].height), "white")
    x = 0
    for image in images:
        whole.paste(image, (x, 0))
        x += image.width + GAP
    file = BytesIO()
    whole.save(file, "JPEG", quality=72, optimize=True)
    return file.getvalue()


def pictures_of_tutorial(browser: Any, folder: Path) -> Iterator[tuple[str, bytes]]:
    """By file, for each program with the note ``picture``, and for the example at the end."""
    with serving(new_app(), browser) as stage:
        web = urlsplit(stage.url).port
        for block in blocks(TUTORIAL):
            if name := block.notes.get("picture"):
                program = folder / f"{name}.py"
                program.write_text(block.source, "utf-8")
                with running(program) as port:
                    page = open_page(browser, web, port, 900, 520)
                    if name == "tutorial_moved":
                        run_client(block, folder, port)
                        time.sleep(SETTLE)
                    yield f"{name}.jpg", shot(page)
                    page.close()
        with running(ROOT / "examples" / "two_browsers.py") as port:
            pages = [open_page(browser, web, port, 1100, 420) for _ in range(2)]
            for page, (x, y) in zip(pages, [(-100, 0), (90, 10)], strict=True):
                page.bring_to_front()
                page.mouse.move(700, 160)
                page.mouse.down()
                page.mouse.move(700 + x, 160 + y, steps=20)
                page.mouse.up()
                time.sleep(SETTLE)
            yield "tutorial_two.jpg", shot(*pages, left=316)  # the menu's width


def picture_of_arm(browser: Any, folder: Path) -> bytes:
    """What the page about URDF makes and shows, from near."""
    make_arm, show = (block for block in blocks(URDF) if "program" in block.notes)
    for name, block in {"make_arm": make_arm, "show": show}.items():
        (folder / f"{name}.py").write_text(block.source, "utf-8")
    subprocess.run([sys.executable, folder / "make_arm.py"], cwd=folder, check=True, timeout=60)
    with running(folder / "show.py") as port:
        page = open_page(browser, port, port, 1200, 520, "arm")
        page.mouse.move(600, 235)
        for _ in range(2):
            page.mouse.wheel(0, -300)
            time.sleep(SETTLE / 4)
        page.mouse.move(1100, 480)  # what the mouse is at is highlighted
        time.sleep(SETTLE)
        return shot(page, left=316)


def run_client(server: Block, folder: Path, port: int) -> None:
    """The program that comes after a server in the tutorial, with as many steps as it says."""
    (block, *_) = (b for b in blocks(TUTORIAL) if b.line > server.line and "got" in b.notes)
    program = folder / "client.py"
    source = block.source.replace("range(1, 4)", "range(1, 61)").replace("8012", str(port))
    program.write_text(source, "utf-8")
    subprocess.run([sys.executable, program], check=True, timeout=60)


def animation(browser: Any) -> bytes:
    """The ring of the tutorial on its way around the box, as an animated WebP.

    Its balls are those of the program, one step after another, however long a picture takes.
    """
    (block,) = (b for b in blocks(TUTORIAL) if b.notes.get("picture") == "tutorial_ring")
    names: dict[str, Any] = {}
    exec(block.source.partition("@app.spawn")[0], names)
    images = []
    with serving(new_app(), browser) as stage:
        tab = stage.open()
        tab.page.set_viewport_size({"width": 900, "height": 520})
        tab.page.add_style_tag(content=HIDDEN)
        tab.send(Set(DefaultScene(Box(key="box", position=[0, 0.5, 0]))))
        time.sleep(SETTLE)
        for n in range(FRAMES):
            angle = 2 * math.pi * n / FRAMES
            tab.send(Upsert(*(names["ball"](ball, angle) for ball in range(12))))
            tab.page.wait_for_timeout(FRAME * 1000)  # milliseconds, to draw it
            image = Image.open(BytesIO(tab.page.screenshot())).convert("RGB")
            images.append(image.crop((230, 90, 670, 345)))  # the ring is in its middle
    file = BytesIO()
    images[0].save(
        file,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=round(FRAME * 1000),
        loop=0,
        quality=60,
        method=6,
    )
    return file.getvalue()


def main() -> None:
    path = executable()
    if path is None:
        sys.exit("there is no chromium on the PATH")
    with (
        chromium(path, WIDTH, HEIGHT) as browser,
        tempfile.TemporaryDirectory() as folder,
    ):
        pictures = {
            "scene": lambda: [("scene.jpg", picture_of_scene(browser))],
            "animation": lambda: [("tutorial.webp", animation(browser))],
            "tutorial": lambda: pictures_of_tutorial(browser, Path(folder)),
            "urdf": lambda: [("urdf_arm.jpg", picture_of_arm(browser, Path(folder)))],
        }
        chosen = sys.argv[1:] or pictures
        for name, picture in chain.from_iterable(pictures[name]() for name in chosen):
            file = HERE / name
            file.write_bytes(picture)
            print(f"{file}: {len(picture)} bytes")


if __name__ == "__main__":
    main()
