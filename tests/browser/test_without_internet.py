"""The page that is served, with no other host to be reached: nothing is asked of one, either."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from tests.browser.browser_harness import element, until
from tests.browser.headset_emulator import BEFORE, ENTER, emulate
from tests.browser.page_watch import PageWatch
from vuer_trio import Vuer, xr
from vuer_trio._web_client.installed import web_client
from vuer_trio._web_client.offline import edits
from vuer_trio.events import Set, Upsert
from vuer_trio.schemas import DefaultScene, MotionControllers, Text


def dark_pixels(tab) -> int:
    image = Image.open(BytesIO(tab.page.screenshot())).convert("L").crop((320, 60, 720, 200))
    return sum(image.histogram()[:100])


@pytest.fixture
def watched():
    return PageWatch()


def test_every_edit_has_its_place_in_the_installed_client():
    root = web_client()
    texts = [p.read_text() for p in root.glob("assets/*/*") if p.suffix in (".js", ".css")]
    assert [edit.name for edit in edits() if not any(map(edit.apply, texts))] == []


def test_a_scene_with_text_is_shown(serve, watched, artefacts):
    with serve(Vuer("127.0.0.1", 0)) as harness:
        tab = harness.open(watch=watched)
        tab.send(Set(DefaultScene(grid=False)))
        before = dark_pixels(tab)
        text = "Hello, Καλημέρα,\nПривет: 20 °C → ∞ ₿"  # noqa: RUF001  # several alphabets
        tab.send(Upsert(Text(text, key="text", position=[2, 2.5, 0], color="black", fontSize=0.4)))
        until(lambda: dark_pixels(tab) > before + 200, "a text on the screen")
        tab.page.screenshot(path=artefacts / "without_internet.png")
        assert watched.left(harness.url) == []
        assert watched.wrong == []
        assert len(watched.requests) > 10


def test_mujoco_simulates(serve, watched, tmp_path, artefacts):
    """Its package is fetched from elsewhere by the client as it is."""
    (tmp_path / "falling.xml").write_text(
        """<mujoco><worldbody><light pos="0 0 3"/><geom type="plane" size="2 2 .1"/>
        <body pos="0 0 1"><freejoint/><geom type="box" size=".3 .3 .3"/></body>
        </worldbody></mujoco>"""
    )
    app, got = Vuer("127.0.0.1", 0, workspace=tmp_path), set()

    @app.add_handler("*")
    def keep(event, session) -> None:
        got.add(event.etype)

    with serve(app) as harness:
        tab = harness.open(watch=watched)
        until(lambda: "ON_CONTRIB_LOAD" in got, "the package")
        address = f"{harness.url}workspace/falling.xml"
        tab.send(Upsert(element("MuJoCo", "mujoco", src=address, assets=[])))
        until(lambda: "ON_MUJOCO_FRAME" in got, "a frame of the simulation")
        tab.page.screenshot(path=artefacts / "without_internet_mujoco.png")
        assert watched.left(harness.url) == []
        assert watched.wrong == []


def test_a_headset_enters_a_session(serve, watched, artefacts):
    app, got = Vuer("127.0.0.1", 0), {}

    @app.add_handler("CONTROLLER_MOVE")
    def keep(event, session) -> None:
        got["move"] = xr.controllers(event)

    with serve(app) as harness:
        tab = harness.open(before=BEFORE, watch=watched)
        emulate(tab.page)
        controllers = MotionControllers(key="c", stream=True, left=True, right=True)
        box = element("Box", "box", position=[0, 1.5, -3], material={"color": "magenta"})
        tab.send(Set(DefaultScene(box, bgChildren=[controllers])))
        tab.page.evaluate(ENTER)
        until(lambda: "move" in got and got["move"].right, "the pose of a controller")
        tab.page.screenshot(path=artefacts / "without_internet_xr.png")
        tab.page.evaluate("window.device.primaryInputMode = 'hand'")
        until(lambda: got["move"].right is None, "hands instead of controllers")
        assert watched.left(harness.url) == []
        assert watched.wrong == []
