"""A scene in a file, opened from the disk."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.browser_harness import element, until
from tests.browser.page_watch import PageWatch
from tests.browser.test_page import columns_of_magenta, magenta_box
from vuer_trio import SceneStore
from vuer_trio.events import Set
from vuer_trio.scene import Scene
from vuer_trio.schemas import DefaultScene, Text
from vuer_trio.schemas import Scene as SceneElement

_STATE = "window.VUER && window.VUER.useSceneStore.getState().children"


@pytest.fixture
def open_file(browser):
    pages = []

    def open_file(path: Path, watch: PageWatch):
        page = browser.new_page()
        pages.append(page)
        watch(page)
        page.goto(path.as_uri())
        return page

    yield open_file
    for page in pages:
        page.close()


def picture(page) -> Image.Image:
    return Image.open(BytesIO(page.screenshot()))


def green_jpeg() -> bytes:
    data = BytesIO()
    Image.new("RGB", (32, 32), (0, 255, 0)).save(data, "JPEG")
    return data.getvalue()


def green_pixels(image: Image.Image) -> int:
    pixels = image.convert("RGB").tobytes()
    some = range(0, len(pixels), 3)
    return sum(pixels[n + 1] > 150 and pixels[n] < 90 and pixels[n + 2] < 90 for n in some)


def test_it_shows_the_scene_without_a_server(open_file, tmp_path, artefacts):
    scene, path, watch = Scene(), tmp_path / "the scene.html", PageWatch()
    text = Text("20 °C", key="text", position=[2, 2.5, 0], color="black", fontSize=0.6)
    image = element("Image", "image", src=green_jpeg(), position=[-2, 1, 0])
    scene.apply(Set(DefaultScene(magenta_box(), text, image)))
    assert scene.to_html(path, title="Box & <text>") == []
    page = open_file(path, watch)
    until(lambda: page.evaluate(_STATE), "the scene")
    until(lambda: len(columns_of_magenta(picture(page))) > 500, "a magenta box on the screen")
    corner = (450, 60, 700, 140)
    until(lambda: sum(picture(page).convert("L").crop(corner).histogram()[:100]) > 50, "a text")
    assert [node["key"] for node in page.evaluate(_STATE)] == ["box", "text", "image"]
    assert page.title() in ("Box & <text>", "Vuer | FortyFive Labs", "Vuer by FortyFive Labs")
    until(lambda: green_pixels(picture(page)) > 50, "a green picture")
    page.screenshot(path=artefacts / "single_file.png")
    assert watch.left(path.as_uri()) == []
    assert watch.wrong == []


def test_it_says_what_is_not_in_it(open_file, tmp_path):
    store, path, watch = SceneStore(), tmp_path / "scene.html", PageWatch()
    address = "http://localhost:1/robot.glb"
    store.set(
        SceneElement(element("Glb", "robot", src=address, name="http://localhost:1/no-address"))
    )
    assert store.to_html(path) == [address]
    open_file(path, watch)
    until(lambda: any(address in text for text in watch.warnings), "a warning in the console")
