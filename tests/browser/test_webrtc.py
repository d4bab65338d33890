"""Frames that are pushed, as Chromium shows them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.backends import BACKENDS
from tests.browser.browser_harness import until
from tests.browser.page_watch import PageWatch
from tests.counted_frames import READ, READ_PART, counted_frame
from vuer_trio import Vuer
from vuer_trio.events import Set
from vuer_trio.schemas import DefaultScene, WebRTCStereoVideoPlane, WebRTCVideoPlane

pytest.importorskip("aiortc")

#: the videos of a page, which are no part of its document; and what it asks of STUN servers
BEFORE = """
window.videos = [];
window.iceServers = [];
const create = document.createElement.bind(document);
document.createElement = (name, ...more) => {
  const made = create(name, ...more);
  if (name === "video") window.videos.push(made);
  return made;
};
const Connection = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Connection {
  constructor(options) {
    super(options);
    window.iceServers.push(...(options?.iceServers || []));
  }
};
"""


class Pusher:
    """A camera in a thread of its own: its frames have numbers."""

    def __init__(self, stream, fps=30.0, stereo=False):
        self.number = 0
        self._stream, self._stereo = stream, stereo
        self._over = threading.Event()
        self._pause = 1 / fps
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._over.wait(self._pause):
            self.number += 1
            frame = counted_frame(self.number)
            if self._stereo:
                self._stream.push_frame(frame, 255 - frame)
            else:
                self._stream.push_frame(frame)

    def stop(self):
        self._over.set()
        self._thread.join()


@contextmanager
def pushing(stream, **options) -> Iterator[Pusher]:
    pusher = Pusher(stream, **options)
    try:
        yield pusher
    finally:
        pusher.stop()


def shown_numbers(tab, pusher, count=5):
    """That many numbers that the page shows, one after the other, each a frame that was pushed."""
    found = []

    def look():
        [number] = tab.page.evaluate(READ) or [None]
        if number and number not in found:
            assert 0 < number <= pusher.number
            found.append(number)
        return len(found) >= count

    until(look, f"numbers in the video, after {found}")
    return found


@pytest.mark.parametrize("backend", BACKENDS[::2][:2], ids=lambda backend: backend.name)
def test_a_video_plane_shows_what_a_thread_pushes(serve, backend, artefacts, monkeypatch):
    """On each library; which loop asyncio has is the same to aiortc's own."""
    # A page that is closed says nothing: it is missed when it does not answer six of these.
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.5)
    app = Vuer("127.0.0.1", 0, transport=backend.transport)
    stream = app.create_webrtc_stream("camera")
    watch = PageWatch()
    with serve(app, backend=backend) as harness:
        with pushing(stream) as pusher:
            tab = harness.open(before=BEFORE, watch=watch)
            plane = WebRTCVideoPlane(src=stream.url, key="video", height=4, aspect=4 / 3)
            tab.send(Set(DefaultScene(plane, grid=False, frameloop="always")))
            found = shown_numbers(tab, pusher)
        assert found == sorted(found)
        assert stream.statistics().viewers == 1
        assert tab.page.evaluate("window.iceServers") == []
        assert watch.left(harness.url) == []
        # and so does the canvas
        stream.push_frame(np.full((480, 640, 3), (255, 0, 255), np.uint8))
        until(lambda: magenta_pixels(tab) > 500, "a magenta plane on the screen")
        tab.page.screenshot(path=artefacts / "webrtc.png")
        tab.page.close()
        until(lambda: stream.statistics().viewers == 0, "the end of a viewer")
    assert not [t.name for t in threading.enumerate() if "vuer-trio" in t.name]


def magenta_pixels(tab) -> int:
    image = Image.open(BytesIO(tab.page.screenshot())).convert("RGB")
    pixels = np.asarray(image).astype(int)
    return int((pixels[..., 0] + pixels[..., 2] - 2 * pixels[..., 1] > 250).sum())


def test_a_stereo_plane_gets_both_frames_in_one_video(serve):
    app = Vuer("127.0.0.1", 0)
    stream = app.create_webrtc_stream("eyes", codec="VP8")
    with serve(app) as harness, pushing(stream, stereo=True) as pusher:
        tab = harness.open(before=BEFORE, tiny=True)
        plane = WebRTCStereoVideoPlane(
            src=stream.url, key="eyes", layout="stereo-left-right", height=3, aspect=4 / 3
        )
        tab.send(Set(DefaultScene(plane, grid=False, frameloop="always")))
        left, right = "[0, 0.5]", "[0.5, 0.5]"
        number = until(lambda: tab.page.evaluate(f"() => ({READ_PART})({left})"), "a number")
        assert 0 < number <= pusher.number
        size = tab.page.evaluate("[window.videos[0].videoWidth, window.videos[0].videoHeight]")
        assert size == [1280, 480]
        pusher.stop()

        def both():
            return tab.page.evaluate(f"() => [{left}, {right}].map((part) => ({READ_PART})(part))")

        # of the last frame, which stays: black there is white here
        until(lambda: both() == [pusher.number, 2**24 - 1 - pusher.number], "both frames")


def test_the_page_for_trying_a_stream_with_a_token(serve, browser):
    app = Vuer("127.0.0.1", 0, token="secret-token")
    stream = app.create_webrtc_stream("a camera")
    with serve(app) as harness, pushing(stream) as pusher:
        page = browser.new_page()
        refusal = page.goto(f"{harness.url}webrtc/debug?stream=a camera")
        assert refusal is not None
        assert refusal.status == 401
        assert "a camera" not in page.content().replace("stream=a camera", "")
        page.goto(f"{harness.url}webrtc/debug?stream=a camera&token=secret-token")
        page.evaluate("window.videos = [document.querySelector('video')]")
        until(lambda: (page.evaluate(READ)[0] or 0) > 3, "a number in the video")
        assert page.evaluate(READ)[0] <= pusher.number
        until(lambda: page.inner_text("#state") == "connected", "the state, which is told as well")
        page.close()


@pytest.mark.parametrize(
    "url", ["/estop", "/webrtc/offer/../../estop", "http://127.0.0.1:9/webrtc/offer/camera"]
)
def test_a_link_does_not_have_the_page_post_elsewhere(serve, browser, url):
    app, posted = Vuer("127.0.0.1", 0), []
    app.add_route("/estop", posted.append, "POST")
    with serve(app) as harness:
        page = browser.new_page()
        page.goto(f"{harness.url}webrtc/debug?url={url}")
        until(lambda: page.inner_text("#state"), "an end")
        assert "url= must be a stream of this server" in page.inner_text("#state")
        page.close()
    assert posted == []
