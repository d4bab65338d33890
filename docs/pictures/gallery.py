"""Make the gallery: pictures of all elements that Chromium can draw, and the page that shows them.

    python docs/pictures/gallery.py         all of it
    python docs/pictures/gallery.py Box     the picture of that, and the page

It needs the dependency group ``dev`` and a chromium.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
from PIL import Image, ImageChops

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE)]

from gallery_table import DRAWN, NOT_DRAWN, Drawn  # noqa: E402

from tests.browser.browser_harness import Tab, serving  # noqa: E402
from tests.browser.chromium import chromium, executable  # noqa: E402
from vuer_trio import Vuer, schemas  # noqa: E402
from vuer_trio.events import Set  # noqa: E402

FOLDER = HERE / "gallery"
PAGE = HERE.parent / "gallery.md"
TABLE = {name: drawn for section in DRAWN.values() for name, drawn in section.items()}
PHOTO = numpy.dstack([*numpy.indices((90, 150)), numpy.full((90, 150), 120)]).astype("uint8")
NAMES = {name: getattr(schemas, name) for name in schemas.__all__}
NAMES |= {"np": numpy, "photo": PHOTO}

WIDTH, HEIGHT = (
    480,
    660,
)  # pixels, of the browser's page; high, so that its sign of the axes is below
HTML = (240, 0, 480, 150)  # the part with what lies beside the scene
SIZE = (240, 150)  # pixels, of a picture; of the scene, half as large as it is
FOV = 90  # degrees
QUALITY = 80  # of WebP
PAUSE = 0.4  # seconds between two looks
LOOKS = 25  # at most
SAME = 0.0005  # share of pixels; if fewer differ, two looks are the same
#: what is on the page and not in the scene
HIDDEN = """
.grid.h-full.w-full > :not(.inset-0), .grid.h-full.w-full > :not(.inset-0) *,
[class*="_style_17ukg"], [class*="leva-c"] { visibility: hidden !important }
"""

INTRODUCTION = """\
# Gallery

<!-- `docs/pictures/gallery.py` makes this page of `docs/pictures/gallery_table.py`. -->

This is what the elements of [`vuer_trio.schemas`](reference/schemas.md) look like in the web client
of `vuer` 0.1.6, each with the code of its picture. `np` is numpy, and `photo` an array of the shape
(90, 150, 3). Where the code is a list, all of it is in the scene. Around it there are lights, a
colour behind everything, and a camera. The pictures are made without a headset and without the
internet.
"""


def made(drawn: Drawn) -> list[Any]:
    """The elements of its code."""
    result = eval(drawn.code, dict(NAMES))
    return result if isinstance(result, list) else [result]


def scene(drawn: Drawn, elements: list[Any]) -> schemas.Scene:
    """Elements where the code's are, and what is around them."""
    slots: dict[str, list[Any]] = {  # of one that is not sent the page keeps what it has
        "children": [schemas.Group(key="nothing")],
        "bgChildren": [schemas.Group(key="nothing behind")],
        "htmlChildren": [schemas.div(key="nothing beside", style={"display": "none"})],
    }
    slots[drawn.slot] += elements
    behind = slots["bgChildren"]
    if drawn.background:
        behind.append(schemas.BackgroundColor(color=drawn.background, key="background"))
    if drawn.lit:
        behind.append(schemas.AmbientLight(intensity=1, key="ambient"))
        behind.append(schemas.DirectionalLight(position=[3, 5, 2], intensity=2, key="sun"))
    if drawn.camera:
        behind.append(schemas.SceneCamera(position=[*drawn.camera], fov=FOV, key="camera"))
        behind.append(schemas.OrbitControls(makeDefault=True, key="control"))
    return schemas.Scene(*slots.pop("children"), **slots)


def share_that_differs(one: Image.Image, other: Image.Image) -> float:
    """Of the pixels, from 0 to 1."""
    difference = ImageChops.difference(one, other).convert("L").point(lambda v: 255 * (v > 16))
    return difference.histogram()[255] / (one.width * one.height)


def look(tab: Tab) -> Image.Image:
    return Image.open(BytesIO(tab.page.screenshot())).convert("RGB")


def draw(tab: Tab, shown: schemas.Scene, empty: Image.Image | None = None) -> Image.Image:
    """What the page shows of a scene, once that stays as it is, and is not as ``empty``."""
    tab.send(Set(shown))
    seen = [look(tab)]
    for _ in range(LOOKS):
        time.sleep(PAUSE)
        seen.append(look(tab))
        still = all(share_that_differs(before, seen[-1]) < SAME for before in seen[-3:-1])
        if still and len(seen) > 2 and not (empty and share_that_differs(empty, seen[-1]) < SAME):
            break
    return seen[-1]


def pictures(
    open_tab: Callable[[], Tab], names: Iterable[str]
) -> Iterator[tuple[str, Image.Image]]:
    """By name. Raises RuntimeError for an element that cannot be seen."""
    tab: Tab | None = None
    for name in names:
        drawn = TABLE[name]
        if tab is None:
            tab = open_tab()
            tab.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            tab.page.add_style_tag(content=HIDDEN)
        empty = draw(tab, scene(drawn, []))
        image = draw(tab, scene(drawn, made(drawn)), empty)
        if share_that_differs(empty, image) < SAME:
            raise RuntimeError(f"nothing is to be seen of {name}")
        part = image.crop(HTML if drawn.slot == "htmlChildren" else drawn.part)
        yield name, part.resize(SIZE, Image.Resampling.LANCZOS)


def page() -> str:
    parts = [INTRODUCTION]
    for heading, section in DRAWN.items():
        parts.append(f"## {heading}\n\n| | |\n|---|---|")
        parts += [
            f"| ![{name}](pictures/gallery/{name}.webp) | **{name}** `{drawn.code}` |"
            for name, drawn in section.items()
        ]
        parts.append("")
    parts.append("## Without a picture\n\n| element | reason |\n|---|---|")
    for reason in dict.fromkeys(NOT_DRAWN.values()):
        names = ", ".join(f"`{name}`" for name, why in NOT_DRAWN.items() if why == reason)
        parts.append(f"| {names} | {reason} |")
    return "\n".join(parts) + "\n"


def main(*chosen: str) -> None:
    path = executable()
    if path is None:
        sys.exit("there is no chromium on the PATH")
    # no `client_root=`: the page then has a font for texts
    with chromium(path) as browser, serving(Vuer("127.0.0.1", 0), browser) as harness:
        for name, picture in pictures(harness.open, chosen or TABLE):
            file = FOLDER / f"{name}.webp"
            picture.save(file, quality=QUALITY, method=6)
            print(f"{file}: {file.stat().st_size} bytes")
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
