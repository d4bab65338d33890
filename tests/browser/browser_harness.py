"""Our server in a thread, on the event loop of a backend, and the pages of it in a browser.

The tests stand outside of both, and are plain functions: playwright's sync API keeps a loop of its
own in their thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from vuer_trio import Vuer, VuerSession, open_vuer_server
from vuer_trio.events import ServerEvent
from vuer_trio.scene import Scene
from vuer_trio.schemas import Element

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

__all__ = ["SLOTS", "BrowserHarness", "Tab", "element", "new_app", "serving", "until"]

T = TypeVar("T")

SLOTS = ("children", "rawChildren", "bgChildren", "htmlChildren")
#: seconds; a loaded machine may need a tenth of it
_DEADLINE = 120.0
#: of the page's store, what a scene is; what JavaScript calls undefined is left out
_STATE = "() => JSON.parse(JSON.stringify(window.VUER.useSceneStore.getState()))"
_READY = "!!(window.VUER && window.VUER.useSceneStore)"


def until(condition: Callable[[], T], what: str = "") -> T:
    """Its result, once that is true. Raises TimeoutError."""
    deadline = time.monotonic() + _DEADLINE
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {_DEADLINE:g} s: {what or condition!r}")
        time.sleep(0.02)
    return result


def element(tag: str, key: str, **props: Any) -> Element:
    return Element(tag=tag, key=key, **props)


def new_app(**options: Any) -> Vuer:
    """Of our server, with the reference's web client, at any free port."""
    import vuer

    root = Path(vuer.__file__).with_name("client_build")
    return Vuer("127.0.0.1", 0, client_root=root, **options)


class BrowserHarness:
    """A server that runs, and ``portal``, through which its loop can be reached."""

    def __init__(self, app: Vuer, portal: BlockingPortal, port: int, browser: BrowserContext):
        self.app = app
        self.portal = portal
        self.url = f"http://127.0.0.1:{port}/"
        self._browser = browser

    def sessions(self) -> tuple[VuerSession, ...]:
        return self.portal.call(lambda: self.app.sessions)

    def open(
        self,
        *,
        tiny: bool = False,
        before: str = "",
        watch: Callable[[Page], None] | None = None,
    ) -> Tab:
        """A new page. Returns when its session and its scene are there.

        ``tiny``: of few pixels, for when it does not matter what is drawn: that takes longest.
        ``before`` is a script that runs before those of the page, ``watch`` is called with the
        page before it is opened.
        """
        known = set(self.sessions())
        page = self._browser.new_page()
        if before:
            page.add_init_script(before)
        if watch is not None:
            watch(page)
        if tiny:
            page.set_viewport_size({"width": 160, "height": 100})
        page.goto(self.url, wait_until="domcontentloaded")
        page.wait_for_function(_READY, polling=50)

        def introduced() -> VuerSession | None:
            return next((s for s in set(self.sessions()) - known if s.client_info), None)

        return Tab(page, until(introduced, "the INIT of a page"), self.portal)


class Tab:
    """A page, and its session at the server."""

    def __init__(self, page: Page, session: VuerSession, portal: BlockingPortal) -> None:
        self.page = page
        self.session = session
        self._portal = portal
        self._count = 0

    def call(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function, sync or async, in the server's loop."""
        return self._portal.call(partial(fn, *args, **kwargs))

    def start(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[], Any]:
        """As `call`, but at once returns a function that waits for the result."""
        future = self._portal.start_task_soon(partial(fn, *args, **kwargs))
        return partial(future.result, _DEADLINE)

    def send(self, *events: ServerEvent) -> None:
        """Send them, and wait until the page has done what they say.

        A pong would only say that the browser has read them, so a last event makes the page's
        script tell: the page runs the code in it.
        """
        self._count += 1
        data = {"timeout": 0, "fn": f"window.hasApplied = {self._count}"}

        def send() -> None:
            for event in (*events, ServerEvent(data, etype="TIMEOUT")):
                self.session @ event

        self.call(send)
        self.page.wait_for_function(f"window.hasApplied === {self._count}", polling=10)

    def state(self) -> dict[str, Any]:
        """The root of the scene in the page: its tag, its axis, its slots."""
        state = self.page.evaluate(_STATE)
        return {name: state[name] for name in ("tag", "up", *SLOTS)}

    def find(self, key: str) -> dict[str, Any] | None:
        """A node of the page's scene."""
        scene = Scene()
        scene.apply({"etype": "SET", "data": self.state()})
        return scene.get(key)


@contextmanager
def serving(app: Vuer, browser: BrowserContext, backend: Any = None) -> Iterator[BrowserHarness]:
    """Serve while the block runs; the pages of the block are closed with it."""
    library, options = ("trio", {}) if backend is None else backend.anyio
    with start_blocking_portal(library, options) as portal:
        with portal.wrap_async_context_manager(open_vuer_server(app)) as server:
            first: Iterable[Page] = tuple(browser.pages)
            try:
                yield BrowserHarness(app, portal, server.port, browser)
            finally:
                for page in browser.pages:
                    if page not in first:
                        page.close()
