"""The proxy between Chromium and a server, ours and the real one: nothing is changed, and what was
recorded makes the same scene again."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from anyio.from_thread import start_blocking_portal

from tests import PROGRAMS
from tests.browser.browser_harness import _READY, _STATE, SLOTS, serving, until
from tests.free_ports import free_port
from tests.recording_files import need_mcap
from tests.recording_proxy import proxy_to, recording_proxy
from tests.repetitions import times
from vuer_trio import Vuer, open_vuer_server
from vuer_trio.record import open_recording, replay
from vuer_trio.schemas import Box, DefaultScene, SceneCamera, SceneCameraControl, Sphere

#: how often the scene moves
MOVES = times(75, 900)
#: a script that returns when the page has drawn twenty frames
_DRAW = """() => new Promise(done => {
    let left = 20;
    const next = () => left-- ? requestAnimationFrame(next) : done();
    next();
})"""


@contextmanager
def our_server() -> Iterator[str]:
    """The URI of one with a scene that moves."""
    app = Vuer("127.0.0.1", 0)

    @app.spawn
    async def main(session: Any) -> None:
        scene = DefaultScene(
            Box(key="box"),
            bgChildren=[
                SceneCamera(key="camera", position=[0, 5, 10]),
                SceneCameraControl(key="control", makeDefault=True, stream=True),
            ],
        )
        session.set @ scene
        for number in range(1, MOVES + 1):
            session.upsert @ Box(key="box", position=[number / 8, 0, 0])
            if number % 50 == 1:
                key = f"ball{number}"
                session.upsert @ Sphere(key=key, args=[0.25], position=[0, number / 8, 0])
            await trio.sleep(0.03)
        await session.forever()

    with start_blocking_portal("trio") as portal:
        with portal.wrap_async_context_manager(open_vuer_server(app)) as serving:
            yield serving.uri


@contextmanager
def real_server() -> Iterator[str]:
    port = free_port()
    program = str(PROGRAMS / "reference_scene.py")
    process = subprocess.Popen(
        [sys.executable, program, str(port), str(MOVES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=PROGRAMS,
    )
    try:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens, "the real server")
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


class Watched:
    """A page whose messages are kept, as the browser has them."""

    def __init__(self, page: Any) -> None:
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.sockets: list[str] = []
        self.closed = 0
        page.on("websocket", self._opened)

    def _opened(self, websocket: Any) -> None:
        self.sockets.append(websocket.url)
        websocket.on("framesent", lambda payload: self.sent.append(payload))
        websocket.on("framereceived", lambda payload: self.received.append(payload))
        websocket.on("close", lambda _: self._closed())

    def _closed(self) -> None:
        self.closed += 1


def state_of(page: Any) -> dict[str, Any]:
    state = page.evaluate(_STATE)
    return {name: state[name] for name in ("tag", "up", *SLOTS)}


@pytest.mark.parametrize("serve", [our_server, real_server])
def test_nothing_is_changed_and_the_recording_makes_the_same_scene(browser, tmp_path, serve):
    need_mcap()
    file = tmp_path / "run.mcap"
    with serve() as uri, start_blocking_portal("trio") as portal:
        with portal.wrap_async_context_manager(recording_proxy(uri, file)) as proxy:
            passed: list[Any] = []
            proxy.observe(lambda direction, messages: passed.extend(messages))
            page = small(browser.new_page())
            seen = Watched(page)
            page.goto(f"http://127.0.0.1:{proxy.port}/", wait_until="domcontentloaded")
            page.wait_for_function(_READY, polling=50)
            for number in range(5, MOVES + 1, 5):
                until(lambda n=number: drag(page) or len(seen.received) > n, "a scene that moves")
            if serve is our_server:
                until(lambda: drag(page) or any(b"CAMERA_MOVE" in sent for sent in seen.sent))
            until(lambda: is_quiet(page, seen, passed), "that all has arrived")
        # The proxy has ended, and with it the connection: the page keeps what it had last.
        until(lambda: page.wait_for_timeout(50) or seen.closed, "the end of the WebSocket")
    assert f"ws://127.0.0.1:{proxy.port}" in seen.sockets[0]
    assert all(f":{proxy.port}" in url for url in seen.sockets)  # nothing goes past it
    recording = open_recording(file)
    assert recording.complete
    assert recording.dropped == 0
    entries = list(recording)
    assert [e.payload for e in entries if e.direction == "sent"] == seen.received
    assert [e.payload for e in entries if e.direction == "received"] == seen.sent
    assert {"SET", "UPSERT"} <= {e.etype for e in entries if e.direction == "sent"}
    said = {e.etype for e in entries if e.direction == "received"}
    assert said >= ({"INIT", "CAMERA_MOVE"} if serve is our_server else {"INIT"})
    replayed = replayed_scene(browser, recording)
    assert len(replayed["children"]) > MOVES / 50
    page.bring_to_front()  # or the browser would slow it down
    # A page that draws slowly has what it got last a moment later.
    until(lambda: page.wait_for_timeout(50) or state_of(page) == replayed, "the same scene")
    page.close()


def is_quiet(page: Any, seen: Watched, passed: Sequence[Any]) -> bool:
    """Whether all that was passed on has been seen, and no more comes while the page draws."""
    before = len(seen.sent) + len(seen.received)
    page.evaluate(_DRAW)
    return before == len(seen.sent) + len(seen.received) == len(passed)


def small(page: Any) -> Any:
    """Of few pixels: drawing takes longest."""
    page.set_viewport_size({"width": 480, "height": 300})
    return page


def drag(page: Any) -> None:
    """Over the canvas; the controls may not listen yet."""
    mouse = page.mouse
    mouse.move(300, 150)
    mouse.down()
    mouse.move(360, 180, steps=5)
    mouse.up()


def replayed_scene(browser: Any, recording: Any) -> dict[str, Any]:
    """What a page has when the server's part has been played to it."""
    app, done = Vuer("127.0.0.1", 0), []

    @app.spawn
    async def play(session: Any) -> None:
        await replay(recording.script("server"), session.send, speed=float("inf"))
        done.append(session)
        await session.forever()

    with serving(app, browser) as harness:
        tab = harness.open(tiny=True)
        until(lambda: done, "the end of the replay")
        tab.send()
        return tab.state()


def test_a_page_comes_back_when_the_server_behind_does(browser):
    with start_blocking_portal("trio") as portal:
        port = free_port()
        with portal.wrap_async_context_manager(proxy_to(f"ws://127.0.0.1:{port}")) as proxy:
            page = small(browser.new_page())
            page.goto(f"http://127.0.0.1:{proxy.port}/", wait_until="domcontentloaded")
            assert "There is no server behind this proxy" in page.content()
            app = Vuer("127.0.0.1", port)
            app.spawn(lambda session: session.forever())

            async def inits() -> list[Any]:
                return [session for session in app.sessions if session.client_info]

            for again in (False, True):
                if again:  # the page itself stays as it is when its connection has ended
                    page.reload(wait_until="domcontentloaded")
                with portal.wrap_async_context_manager(open_vuer_server(app)):
                    until(
                        lambda: page.wait_for_timeout(50) or portal.call(inits),
                        "a session of the page",
                    )
            page.close()
