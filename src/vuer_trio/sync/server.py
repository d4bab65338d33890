"""The blocking server."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from html import escape
from inspect import iscoroutinefunction
from io import BytesIO
from typing import Any, Self, TypeVar, cast, overload
from uuid import UUID

import trio

from .._errors import CallTimeout, ClientClosed
from .._formatting import must_be, shown_uri
from .._signatures import check_takes
from ..events import ClientEvent
from ..schemas import DefaultScene, GrabRender
from ..server import SceneStore, Vuer, VuerServer, VuerSession, open_vuer_server
from ..server.banner import page_url
from ..server.store import ThreadsafeScene
from .portal import Portal

__all__ = ["BlockingVuerServer", "Snapshot", "Viewer"]

F = TypeVar("F", bound=Callable[[ClientEvent], object])

#: seconds after which a page is asked again for an image: one that has just got the component that
#: answers does not know it yet, and says nothing
_ASK_AGAIN = 0.5
#: pixels; of the live scene in a notebook
_HEIGHT = 480


@dataclass(frozen=True, slots=True)
class Viewer:
    """A client of a `BlockingVuerServer`: a browser, a headset, a program."""

    #: as in `Vuer.ws`
    id: UUID
    #: what it said about itself in INIT
    client_info: Mapping[str, Any] = field(compare=False)


class Snapshot(bytes):
    """An image of the scene, as the bytes of a PNG file. A notebook shows it."""

    __slots__ = ()

    def _repr_png_(self) -> bytes:
        return bytes(self)

    def __repr__(self) -> str:
        return f"<Snapshot, PNG, {len(self):,} bytes>"


class BlockingVuerServer:
    """A Vuer server for programs without an event loop, in a thread of its own.

    It serves from the moment that it is created until `close`, or the end of the program::

        server = open_vuer_server()
        server.scene.upsert @ Box(key="box", args=[0.3, 0.3, 0.3])
        print(server.url)

    Whoever opens the page sees `scene`, and every change to it. All methods may be called from any
    thread, and from several at once. In a notebook, ``server`` as the last line of a cell shows the
    live scene. ``with open_vuer_server() as server:`` closes it at the end of the block.

    ``port`` is the first port to try: if it is in use, the next free one is used, unless
    ``free_port=False``; 0 means any free port. ``scene`` is the scene to begin with, by default
    `DefaultScene`, which has light, a grid and hands. The other arguments are those of `Vuer`.
    Raises TypeError, ValueError and OSError, as `Vuer` and `Vuer.serve` do, and RuntimeError in a
    Trio task.
    """

    def __init__(
        self, port: int = 8012, *, scene: Any = None, free_port: bool = True, **options: Any
    ) -> None:
        #: the server itself, for what this class does not have. Its handlers run in the server's
        #: thread, and so must every call of its methods, except those of ``app.threadsafe``
        if options.get("backend") == "asyncio":
            what = "'auto' or 'trio' for a blocking server"
            raise ValueError(must_be("backend", what, "asyncio", "it has a thread of its own"))
        self.app: Vuer = Vuer(port=port, free_port=free_port and port != 0, **options)
        self._store = SceneStore()
        self._store.set @ (DefaultScene() if scene is None else scene)
        self._shown: dict[Viewer, VuerSession] = {}
        self._came: trio.Event | None = None  # the next viewer has come
        self._server: VuerServer | None = None
        self._stopping: trio.Event | None = None
        self._ended: trio.Event | None = None
        self._url = ""
        self.app.spawn(self._show)
        self._portal: Portal | None = Portal(f"vuer-trio server {port}", "this server")
        try:
            self._portal.call(self._start, self._portal)
        except BaseException:
            self._portal.stop()
            raise
        atexit.register(self.close)

    # ---- in the loop

    async def _start(self, portal: Portal) -> None:
        self._came, self._stopping, self._ended = trio.Event(), trio.Event(), trio.Event()
        started = trio.Event()
        failures: list[Exception] = []
        portal.start(self._serve, started, failures)
        try:
            await started.wait()
        except BaseException:
            self._stopping.set()  # whoever waited was interrupted
            raise
        if failures:
            raise failures.pop()

    async def _serve(self, started: trio.Event, failures: list[Exception]) -> None:
        assert self._stopping is not None
        assert self._ended is not None
        try:
            async with open_vuer_server(self.app) as server:
                self._server = server
                self._url = page_url(self.app._where(None, None), server.port)
                started.set()
                await self._stopping.wait()
        except Exception as exc:
            if started.is_set():
                raise
            failures.append(exc)
        finally:
            started.set()
            self._ended.set()

    async def _stop(self) -> None:
        assert self._stopping is not None
        assert self._ended is not None
        self._stopping.set()
        await self._ended.wait()

    async def _show(self, session: VuerSession) -> None:
        viewer = Viewer(session.CURRENT_WS_ID, session.client_info)
        async with self._store.subscribe(session):
            self._shown[viewer] = session
            came, self._came = self._came, trio.Event()
            assert came is not None
            came.set()
            try:
                await session.forever()
            finally:
                del self._shown[viewer]

    async def _wait_for_client(self) -> Viewer:
        while not self._shown:
            assert self._came is not None
            await self._came.wait()
        return next(iter(self._shown))

    async def _grab(
        self, viewer: Viewer | None, key: str, timeout: float, options: Mapping[str, Any]
    ) -> ClientEvent:
        with trio.move_on_after(timeout):
            if viewer is None:
                viewer = await self._wait_for_client()
            session = self._shown.get(viewer)
            if session is None:
                raise ClientClosed("that viewer has left; see server.clients")
            if self._store.get(key) is None:
                self._store.upsert(GrabRender(key=key), to="bgChildren")
            while True:
                with suppress(CallTimeout):
                    return await session.grab_render(_ASK_AGAIN, key=key, **options)
        raise CallTimeout(
            f"no page has sent an image within {timeout:g} s: {shown_uri(self._url)} must be open "
            "in a browser, in a tab that is visible"
        )

    # ---- calls

    def _call(self, fn: Callable[..., Any], *args: Any) -> Any:
        portal = self._portal
        if portal is None:
            raise ClientClosed("this server was closed")
        if portal.is_current:
            raise RuntimeError(
                "a handler of a blocking server called what waits for that server, whose thread "
                "it runs in: change server.scene there, or hand the event to another thread"
            )
        return portal.call(fn, *args)

    def _now(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Make a call that does not wait: allowed in handlers, too."""
        portal = self._portal
        if portal is not None and portal.is_current:
            return fn(*args)
        return self._call(fn, *args)

    # ---- state

    @property
    def scene(self) -> ThreadsafeScene:
        """The scene that everybody sees: ``server.scene.upsert @ Box(key="box")``.

        It has the verbs of a session (``set``, ``update``, ``add``, ``upsert``, ``remove``), and
        what is in it can be read. A call returns when the change is on its way to all viewers. A
        value that cannot be sent raises EncodeError, and changes nothing.
        """
        return self._store.threadsafe

    @property
    def url(self) -> str:
        """The page that shows the scene, for a browser on this machine."""
        return self._url

    @property
    def uri(self) -> str:
        """The URI for clients on this machine: ``ws://localhost:8012``."""
        return "" if self._server is None else self._server.uri

    @property
    def port(self) -> int:
        """The port in use."""
        return 0 if self._server is None else self._server.port

    @property
    def clients(self) -> tuple[Viewer, ...]:
        """The clients that see the scene, the oldest first. Empty after `close`."""
        with suppress(ClientClosed):
            return cast("tuple[Viewer, ...]", self._now(lambda: tuple(self._shown)))
        return ()

    def wait_for_client(self, timeout: float | None = None) -> Viewer:
        """Wait until a client sees the scene; returns the oldest one.

        Raises CallTimeout after ``timeout`` seconds.
        """

        async def wait() -> Viewer:
            with trio.move_on_after(float("inf") if timeout is None else timeout):
                return await self._wait_for_client()
            raise CallTimeout(f"nobody has opened {shown_uri(self._url)} within {timeout:g} s")

        viewer: Viewer = self._call(wait)
        return viewer

    # ---- what clients send

    @overload
    def on(self, etype: str, *, once: bool = ...) -> Callable[[F], F]: ...
    @overload
    def on(
        self, etype: str, fn: Callable[[ClientEvent], object], *, once: bool = ...
    ) -> Callable[[], None]: ...
    def on(
        self, etype: str, fn: Callable[[ClientEvent], object] | None = None, *, once: bool = False
    ) -> Any:
        """Call ``fn(event)`` for each event of a type, of any client; "*" for every event.

        ``fn`` is an ordinary function. It runs in the server's own thread and should return
        quickly, because the server does nothing else in the meantime. It may change `scene` and
        call `latest`; calls that wait raise RuntimeError, so pass the event to another thread for
        those. An exception is logged, and has no other effect. With ``fn``, `on` returns a function
        that removes the handler; as a decorator, it returns the function.
        """

        def add(fn: Callable[[ClientEvent], object]) -> Callable[[], None]:
            if iscoroutinefunction(fn):
                raise TypeError(
                    f"the handler of {etype} is async: the blocking server takes ordinary functions"
                )
            if callable(fn):
                check_takes(f'server.on("{etype}")', fn, ("event",))

            def handle(event: ClientEvent, session: VuerSession) -> object:
                return fn(event)

            handler = handle if callable(fn) else fn
            remove = self._now(partial(self.app.add_handler, etype, handler, once=once))
            return partial(self._now_or_never, remove)

        def decorate(fn: F) -> F:
            add(fn)
            return fn

        return decorate if fn is None else add(fn)

    def _now_or_never(self, fn: Callable[[], object]) -> None:
        with suppress(ClientClosed):
            self._now(fn)

    def latest(self, etype: str, *, max_age: float | None = None) -> ClientEvent:
        """The newest event of a type that any client has sent; see `Vuer.latest`.

        Raises Stale if there is none, or if it was read more than ``max_age`` seconds ago.
        """
        event: ClientEvent = self._now(partial(self.app.latest, etype, max_age=max_age))
        return event

    def grab_render(
        self,
        client: Viewer | None = None,
        *,
        key: str = "DEFAULT",
        timeout: float = 10.0,
        ttl: float | None = None,
        **options: Any,
    ) -> ClientEvent:
        """Ask a page for an image of its canvas: ``.value["frame"]`` holds a JPEG (bytes).

        ``client`` is one of `clients`; by default, the oldest one is asked, or the first one that
        connects within ``timeout`` seconds, for which ``ttl`` is another name. If the scene has no
        ``GrabRender`` element with this key, one is added. ``options`` are for the browser:
        ``quality`` (0 to 1) and ``downsample``. Raises CallTimeout if no image arrives in time, for
        example because the tab is not visible, and ClientClosed for a client that has left.
        """
        if client is not None and not isinstance(client, Viewer):
            raise TypeError(must_be("client", "one of server.clients", client))
        patience = timeout if ttl is None else ttl
        event: ClientEvent = self._call(self._grab, client, key, patience, options)
        return event

    def snapshot(self, *, timeout: float = 10.0) -> Snapshot:
        """An image of the scene as a page shows it now, as the bytes of a PNG file.

        Raises as `grab_render`, and ImportError without Pillow (the extra ``image``).
        """
        try:
            import PIL  # noqa: F401 - before anybody is asked
        except ImportError as exc:
            raise ImportError(
                "server.snapshot() needs Pillow: pip install 'vuer-trio[image]'"
            ) from exc
        image = self.grab_render(timeout=timeout).image()
        file = BytesIO()
        image.save(file, "PNG")
        return Snapshot(file.getvalue())

    # ---- the end

    def close(self) -> None:
        """Close every session with 1001, stop serving, and end the thread. May be called twice."""
        portal = self._portal
        if portal is None:
            return
        if portal.is_current:
            raise RuntimeError("a handler cannot close the server whose thread it runs in")
        self._portal = None
        atexit.unregister(self.close)
        if portal.forked:
            return
        try:
            with suppress(ClientClosed):
                portal.call(self._stop)
        finally:
            portal.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "closed" if self._portal is None else shown_uri(self._url)
        return f"<{type(self).__name__} {where}>"

    def _repr_html_(self) -> str:
        """In a notebook: the live scene."""
        if self._portal is None:
            return f"<code>{escape(repr(self))}</code>"
        return (
            f'<iframe src="{escape(self._url)}" width="100%" height="{_HEIGHT}" '
            'frameborder="0" allow="xr-spatial-tracking; fullscreen"></iframe>'
        )
