"""The example with two browsers, as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from tests import ROOT
from tests.browser.browser_harness import until
from tests.free_ports import free_port

EXAMPLE = ROOT / "examples" / "two_browsers.py"
_NODES = "() => window.VUER.useSceneStore.getState().children.map(n => [n.key, n.position])"


def cones(page: Any) -> dict[str, list[float]]:
    """The position of each other's cone, by its key; the page may not have a scene yet."""
    nodes = page.evaluate(f"window.VUER?.useSceneStore ? ({_NODES})() : []")
    return {key: position for key, position in nodes if key.startswith("viewer ")}


def drag(page: Any) -> None:
    """Over the canvas; the controls may not listen yet."""
    page.mouse.move(400, 120)
    page.mouse.down()
    page.mouse.move(450, 140, steps=5)
    page.mouse.up()


def test_each_browser_sees_where_the_other_looks_from(browser, tmp_path):
    port = free_port()
    output = tmp_path / "server.txt"
    with output.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-W", "error", EXAMPLE],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "VUER_PORT": str(port)},
        )
    first, second = browser.new_page(), browser.new_page()
    try:
        until(lambda: "Vuer is at" in output.read_text(), "the server")
        for page in (first, second):
            page.set_viewport_size({"width": 500, "height": 300})
            page.goto(f"http://127.0.0.1:{port}/", wait_until="domcontentloaded")

        until(lambda: len(cones(first)) == len(cones(second)) == 2, "where both are")
        began = cones(second)
        first.bring_to_front()
        until(lambda: drag(first) or cones(second) != began, "that the first one has moved")
        first.close()
        second.bring_to_front()  # a page in the background is drawn when the browser likes
        until(lambda: len(cones(second)) == 1, "that it has gone")
        assert cones(second).keys() < began.keys()
    finally:
        first.close()
        second.close()
        server.terminate()
        try:
            server.wait(30)
        finally:
            server.kill()
            server.wait()
    assert server.returncode == 0
    assert "Traceback" not in output.read_text()
