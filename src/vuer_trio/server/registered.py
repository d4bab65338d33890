"""What an app does for its clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .._handlers import Handlers
from ..webrtc.streams import Streams
from .newest import Newest
from .routes import Routes
from .session_handlers import SessionHandler, Spawned

__all__ = ["Registered"]


class Registered:
    """The functions of `Vuer.add_handler`, `Vuer.spawn`, `Vuer.bind` and `Vuer.add_route`, and the
    streams of `Vuer.create_webrtc_stream`, which are at ``base()``."""

    def __init__(self, app: object = None, base: Callable[[], str] = str) -> None:
        #: the app itself
        self.app: object = app
        #: what may be watched
        self.streams: Streams = Streams(base)
        #: the functions for plain HTTP requests
        self.routes: Routes = Routes()
        #: the handlers, by event type
        self.handlers: Handlers = Handlers()
        #: the function of `bind`, if there is one
        self.binding: SessionHandler | None = None
        #: the functions of `spawn`, in order
        self.spawned: list[Spawned] = []
        #: the newest events of all sessions, for `Vuer.latest` and `Vuer.lease`
        self.newest: Newest = Newest()

    def for_client(self, info: object) -> SessionHandler | None:
        """The first function of `spawn` whose filters match the value of a client's INIT."""
        return next((handler for handler in self.spawned if handler.matches(info)), None)

    def functions(self) -> Iterator[Callable[..., Any]]:
        """All functions that are called in the loop."""
        for spawned in self.spawned:
            yield spawned.fn
        if self.binding is not None:
            yield self.binding.fn
        yield from self.handlers.functions()
        yield from self.routes.functions()
