"""The blocking server and a real page: what a script shows, and an image of it."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from tests.browser.browser_harness import until
from vuer_trio.schemas import Box
from vuer_trio.sync import open_vuer_server


def share(snapshot: bytes) -> float:
    """Of the pixels, how many are magenta."""
    image = Image.open(BytesIO(snapshot)).convert("RGB")
    red, green, blue = (band.tobytes() for band in image.split())
    pixels = zip(red, green, blue, strict=True)
    return sum(r > 150 and g < 80 and b > 150 for r, g, b in pixels) / len(red)


def test_a_script_shows_a_box_and_takes_its_picture(browser, artefacts):
    with open_vuer_server(0) as server:
        page = browser.new_page()
        page.goto(server.url, wait_until="domcontentloaded")
        server.wait_for_client(60)
        before = server.snapshot(timeout=60)
        assert share(before) < 0.001
        server.scene.upsert @ Box(
            key="box",
            args=[2, 2, 2],
            position=[0, 1, 0],
            materialType="basic",
            material={"color": "magenta"},
        )
        picture = artefacts / "blocking_server.png"

        def shows_it() -> bool:
            snapshot = server.snapshot(timeout=60)
            picture.write_bytes(snapshot)
            return share(snapshot) > 0.005

        until(shows_it)
        page.close()
