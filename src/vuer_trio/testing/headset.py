"""A fake headset that follows a script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from .._client.client import VuerClient
from .._errors import ConnectionClosed
from .._nursery import open_plain_nursery
from .._reentrant import ReentrantContextManager
from .._runtime import runtime
from ..events import ClientEvent, ServerEvent
from .jpeg import small_jpeg
from .server import MemoryServer

__all__ = ["FakeHeadset"]

#: seconds to wait, then what to send
Script = Iterable[tuple[float, ClientEvent]]


class FakeHeadset(ReentrantContextManager):
    """``async with FakeHeadset(server, wave()) as headset:`` connects, sends INIT and plays.

    ``server`` is a server in memory, or the URI of any server. ``script`` is any iterable of pairs
    ``(delay, event)``, with the delay in seconds since the previous event. Times are counted from
    the start, so a late event does not delay the others. A recording is such a script.

    The headset identifies itself as a browser, unless ``info`` says otherwise. It answers
    ``grab_render`` with ``picture``, the bytes of a JPEG or a function of the request that returns
    them; with None, it does not answer. Other ``options`` are those of `VuerClient`; the scene is
    mirrored. `client` is its connection. The end of the block ends the script and closes the
    connection. An exception of the script cancels the block and is raised from it. The end of the
    connection ends the script, but is not an error of the block: `played` raises it.
    """

    def __init__(
        self,
        server: MemoryServer | str,
        script: Script = (),
        *,
        picture: bytes | Callable[[ServerEvent], bytes] | None = small_jpeg(),  # noqa: B008
        info: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        uri = server if isinstance(server, str) else server.uri
        options = {"checkpoints": "every", "mirror_scene": True, **options}
        #: its connection
        self.client: VuerClient = _Browser(uri, {**_BROWSER, **(info or {})}, options)
        #: events of the script that have been sent
        self.sent: int = 0
        #: pictures that were asked for
        self.renders: int = 0
        self._script = script
        self._picture = picture
        self._rt: Any = None
        self._played: Any = None
        if picture is not None:
            self.client.answer("GRAB_RENDER", self._render)

    @property
    def scene(self) -> Any:
        """The scene that it shows."""
        return self.client.scene

    async def play(self, script: Script) -> None:
        """Play another script to its end. Raises whatever sending raises.

        Cancelled: the events so far have been sent.
        """
        rt = runtime()
        due = rt.current_time()
        for delay, event in script:
            due += delay
            if due > rt.current_time():
                await rt.sleep_until(due)
            await self.client.send(event)
            self.sent += 1

    async def played(self) -> None:
        """Wait until the script has been played, and the server has read it.

        Raises the error that ended the connection, if it ended before that.
        """
        await self._played.wait()
        await self.client.flush()

    def _render(self, request: ServerEvent) -> dict[str, Any]:
        self.renders += 1
        assert self._picture is not None
        frame = self._picture if isinstance(self._picture, bytes) else self._picture(request)
        return {"dpr": 1, "delta": 16.0, "width": 16, "height": 16, "frame": frame}

    # ---- its life

    @asynccontextmanager
    async def _in_block(self) -> AsyncIterator[None]:
        rt = runtime()
        self._played = rt.Event()
        left = ended = False
        try:
            async with self.client, open_plain_nursery(rt) as nursery:
                nursery.start_soon(self._play_all)
                yield
                nursery.cancel_scope.cancel()
                left, ended = True, not self.client.connected
        except ConnectionClosed as exc:
            # Of leaving: what the script has sent last was still in the outbox. The server may
            # close before this side does, or at the same moment.
            if not left or not (ended or exc.normal):
                raise

    async def _play_all(self) -> None:
        try:
            await self.play(self._script)
        except OSError:
            pass  # the connection has ended: `played` says how
        finally:
            self._played.set()


#: what the web client says of itself; values are those of no particular device
_BROWSER = {
    "client": "browser",
    "pkg": "vuer",
    "pkgVersion": "0.0.0",
    "userAgent": "FakeHeadset",
    "screenWidth": 1920,
    "screenHeight": 1080,
    "devicePixelRatio": 1,
    "timezone": "UTC",
    "timezoneOffset": 0,
}


class _Browser(VuerClient):
    """A client that says that it is a browser."""

    def __init__(self, uri: str, info: dict[str, Any], options: dict[str, Any]) -> None:
        super().__init__(uri, **options)
        self._info = info

    def _client_info(self) -> dict[str, Any]:
        return dict(self._info)
