"""The page of an installed `vuer`, with no option given: it shows the scene, and comes once."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image

from tests.browser.browser_harness import serving, until
from tests.browser.test_page import columns_of_magenta, magenta_box
from vuer_trio import Vuer
from vuer_trio.schemas import DefaultScene, Obj

#: bytes that a reload may take, heads included
MOST = 50_000
#: a mesh next to the program
MESH = "v -2 0 0\nv 2 0 0\nv 2 3 0\nv -2 3 0\nf 1 2 3 4\nf 4 3 2 1\n"


class Transferred:
    """What a page has received from a server, as the browser counts it on its line."""

    def __init__(self, page: Any, url: str) -> None:
        self.bytes = 0
        self._answers: dict[str, int] = {}
        self.requests: dict[str, tuple[str, int, bool]] = {}
        self._unfinished: set[str] = set()
        self._page, self._url = page, url
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.responseReceivedExtraInfo", self._answered)
        session.on("Network.responseReceived", self._received)
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.loadingFailed", self._failed)

    def is_all(self) -> bool:
        """Whether all that the page has asked for has come."""
        self._hear()
        return not self._unfinished

    def _hear(self) -> None:
        self._page.wait_for_timeout(20)  # playwright tells of events only while it is called

    def statuses(self) -> dict[str, int]:
        """Of what the server has answered: a page is told 200 instead of 304."""
        self._hear()
        found = ((name, request[0]) for name, request in self.requests.items())
        return {url: self._answers[name] for name, url in found if name in self._answers}

    def _answered(self, event: dict[str, Any]) -> None:
        self._answers[event["requestId"]] = event["statusCode"]

    def _received(self, event: dict[str, Any]) -> None:
        reply = event["response"]
        if reply["url"].startswith(self._url):
            kept = reply.get("fromDiskCache", False)
            self.requests[event["requestId"]] = (reply["url"], reply["status"], kept)

    def _sent(self, event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith(self._url):
            self._unfinished.add(event["requestId"])

    def _failed(self, event: dict[str, Any]) -> None:
        self._unfinished.discard(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        self._unfinished.discard(event["requestId"])
        if event["requestId"] in self.requests:
            self.bytes += int(event["encodedDataLength"])


def test_the_page_shows_the_scene_and_a_reload_transfers_next_to_nothing(
    browser, tmp_path, monkeypatch, artefacts
):
    monkeypatch.chdir(tmp_path)  # the folder of the program: nothing is said of it
    (tmp_path / "square.obj").write_text(MESH)
    app = Vuer(port=0)

    @app.spawn
    async def main(session):
        session.set @ DefaultScene(Obj(key="square", src="/workspace/square.obj"), magenta_box())
        await session.forever()

    with serving(app, browser) as harness:
        page, mesh = harness.open().page, f"{harness.url}workspace/square.obj"

        def is_shown() -> bool:
            picture = Image.open(BytesIO(page.screenshot()))
            return len(columns_of_magenta(picture)) > 500

        until(is_shown, "the scene on the screen")
        first = Transferred(page, harness.url)
        page.context.new_cdp_session(page).send("Network.clearBrowserCache")
        page.reload(wait_until="load")
        until(is_shown, "the scene after a reload without a cache")
        until(lambda: mesh in first.statuses(), "the mesh")
        assert first.statuses()[mesh] == 200
        # what the page still loads when it is left comes anew
        until(first.is_all, "all that the page loads")
        assert first.bytes > 1_000_000

        def reload() -> Transferred:
            again = Transferred(page, harness.url)
            page.reload(wait_until="load")
            until(is_shown, "the scene after a reload")
            until(lambda: mesh in again.statuses(), "the mesh again")
            until(again.is_all, "all that the page loads again")
            return again

        again = reload()
        if again.bytes >= MOST:  # the browser keeps what it has received in its own time
            again = reload()
        page.screenshot(path=artefacts / "reload.png")
        print(f"\nfirst: {first.bytes:,} bytes; a reload: {again.bytes:,} bytes")
        for url, status, kept in sorted(again.requests.values()):
            print(f"  {status} {'from its cache' if kept else ''} {url}")
        assert len(again.requests) > 5
        assert again.bytes < MOST
        assert again.statuses()[mesh] == 304
