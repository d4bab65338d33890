"""The page of the web client, in a real browser, at our server."""

from __future__ import annotations

import math
import time
from io import BytesIO

import anyio
import pytest
from PIL import Image

from tests.browser.browser_harness import Tab, element, new_app, until
from vuer_trio import SceneStore
from vuer_trio.events import Set, Upsert
from vuer_trio.schemas import DefaultScene, Scene

JPEG = b"\xff\xd8\xff"
#: a script that no other one of the page runs beside
_STAND_STILL = """() => {
    const request = new XMLHttpRequest();
    request.open("GET", "/held", false);
    request.send();
}"""


def magenta_box(x=0.0):
    return element(
        "Box",
        "box",
        args=[2, 2, 2],
        position=[x, 1, 0],
        materialType="basic",  # the same in any light
        material={"color": "magenta"},
    )


def magenta_columns(tab: Tab) -> list[int]:
    """The columns of the magenta pixels on the screen, one for each."""
    return columns_of_magenta(Image.open(BytesIO(tab.page.screenshot())))


def columns_of_magenta(image) -> list[int]:
    pixels = image.convert("RGB").tobytes()
    return [
        n // 3 % image.width
        for n in range(0, len(pixels), 3)
        if pixels[n] > 150 and pixels[n + 1] < 80 and pixels[n + 2] > 150
    ]


def center(columns: list[int]) -> float:
    return sum(columns) / len(columns)


def test_the_page_shows_a_box_and_follows_a_hundred_upserts(serve, artefacts):
    with serve(new_app()) as harness:
        tab = harness.open()
        tab.send(Set(DefaultScene()))
        assert magenta_columns(tab) == []
        tab.send(Upsert(magenta_box()))
        assert tab.find("box")["material"] == {"color": "magenta"}
        until(lambda: len(magenta_columns(tab)) > 500, "a magenta box on the screen")
        began = center(magenta_columns(tab))
        tab.send(*(Upsert(magenta_box(n / 50)) for n in range(1, 101)))
        assert tab.find("box") == magenta_box(2.0)._serialize()
        assert [node["key"] for node in tab.state()["children"]].count("box") == 1
        until(lambda: center(magenta_columns(tab)) > began + 30, "the box further to the right")
        tab.page.screenshot(path=artefacts / "box.png")


def test_every_transport_serves_the_page(serve, backend):
    """What each makes of Chromium's handshake, frames of all sizes in both directions, the end."""
    with serve(new_app(transport=backend.transport), backend=backend) as harness:
        tab = harness.open(tiny=True)
        info = tab.session.client_info
        assert info["client"] == "browser"
        assert info["pkg"] == "@vuer-ai/vuer"
        for size in (10, 1000, 100_000, 500_000):
            text = "ä" * size
            tab.send(Set(Scene(element("group", "g", name=text), element("GrabRender", "DEFAULT"))))
            assert tab.find("g")["name"] == text
        picture = tab.call(tab.session.grab_render, ttl=60, quality=1).image()
        assert picture.size == (160, 100)
        tab.call(tab.session.flush, timeout=60)
        tab.page.close()
        until(lambda: not harness.sessions(), "the end of the session")
        assert tab.session.close_code == 1001


def test_the_camera_tells_where_it_moves(serve):
    app, moves = new_app(), []
    app.add_handler("CAMERA_MOVE", lambda event, session: moves.append(event))
    with serve(app) as harness:
        tab = harness.open()
        tab.send(
            Set(
                Scene(
                    children=[],
                    bgChildren=[
                        element("SceneCamera", "camera", position=[0, 5, 10]),
                        element("SceneCameraControl", "control", makeDefault=True, stream=True),
                    ],
                )
            )
        )
        until(lambda: drag(tab) or moves, "CAMERA_MOVE")
        first = moves[0].value["camera"]
        assert len(first["position"]) == 3
        assert len(first["matrix"]) == 16
        until(
            lambda: drag(tab) or moves[-1].value["camera"]["position"] != first["position"],
            "another position",
        )
        assert abs(moves[0].ts - time.time()) < 600  # the page sends none


def drag(tab: Tab) -> None:
    """Over the canvas; the controls may not listen yet."""
    mouse = tab.page.mouse
    mouse.move(500, 225)
    mouse.down()
    mouse.move(600, 260, steps=10)
    mouse.up()


def test_the_page_renders_for_the_server(serve):
    with serve(new_app()) as harness:
        tab = harness.open()
        tab.send(Set(DefaultScene(magenta_box(), element("GrabRender", "DEFAULT"))))
        until(lambda: len(magenta_columns(tab)) > 500, "a magenta box on the screen")
        reply = tab.call(tab.session.grab_render, ttl=60, quality=0.9, downsample=2)
        assert reply.value["frame"].startswith(JPEG)
        image = reply.image()
        assert image.format == "JPEG"
        assert image.size == (360, 225)
        assert len(columns_of_magenta(image)) > 150


def test_a_page_that_comes_late_sees_the_whole_scene_and_then_every_change(serve):
    app, store = new_app(), SceneStore()

    @app.spawn(client="browser")
    async def main(session):
        async with store.subscribe(session):
            await session.forever()

    def change(n):
        store.upsert(element("group", f"g{n}", n=n), to="parent")
        store.update @ {"key": "parent", "n": n}

    with serve(app) as harness:
        early = harness.open(tiny=True)
        early.call(store.set, Scene(element("group", "parent"), bgChildren=[element("Grid", "g")]))
        for n in range(5):
            early.call(change, n)
        late = harness.open(tiny=True)
        for n in range(5, 10):
            early.call(change, n)
        for tab in (early, late):
            until(lambda tab=tab: (tab.find("parent") or {}).get("n") == 9, "the last change")
            assert tab.state() == store.scene.to_dict()
        assert [node["n"] for node in late.find("parent")["children"]] == list(range(10))


def test_the_browser_answers_pings_even_for_a_page_that_hangs(serve):
    """So a heartbeat tells whether the browser is there, and not whether its page is alive."""
    app, trips = new_app(heartbeat=6), []

    async def held() -> str:
        """The page stands still until a ping of the heartbeat, sent meanwhile, is answered."""
        [session] = app.sessions
        keepalive, counters = session._connection._keepalive, session._connection.counters
        asked, counters.rtt = keepalive._count, None
        while counters.rtt is None and session.connected:
            await anyio.sleep(0.02)
        trips.append((keepalive._count - asked, counters.rtt))
        return "go on"

    app.add_route("/held", held)
    with serve(app) as harness:
        tab = harness.open(tiny=True)
        tab.page.evaluate(_STAND_STILL)
        [(pings, trip)] = trips
        assert pings == 1
        assert trip is not None
        assert tab.session.connected
        tab.call(tab.session.flush, timeout=60)


@pytest.mark.parametrize("how", ["close", "reload", "navigate"])
def test_a_page_that_goes_ends_its_session_promptly(serve, how):
    app, ended = new_app(heartbeat=math.inf), []  # nothing else would find it out

    @app.spawn
    async def main(session):
        try:
            await session.forever()
        finally:
            ended.append(session)

    with serve(app) as harness:
        tab = harness.open(tiny=True)
        if how == "close":
            tab.page.close()
        elif how == "reload":
            tab.page.reload(wait_until="commit")
        else:
            tab.page.goto("about:blank")
        until(lambda: ended == [tab.session], "the end of the session")
        assert tab.session.close_code == 1001
