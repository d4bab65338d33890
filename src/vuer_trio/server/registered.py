"""What an app has been told to do for its clients."""

from __future__ import annotations

from .._handlers import Handlers
from .session_handlers import SessionHandler, Spawned

__all__ = ["Registered"]


class Registered:
    """The functions of `Vuer.add_handler`, `Vuer.spawn` and `Vuer.bind`."""

    def __init__(self) -> None:
        #: who is called for which event
        self.handlers: Handlers = Handlers()
        #: the function of `bind`, if there is one
        self.binding: SessionHandler | None = None
        #: the functions of `spawn`, in order
        self.spawned: list[Spawned] = []

    def for_client(self, info: object) -> SessionHandler | None:
        """What runs for a client that tells so of itself."""
        return next((handler for handler in self.spawned if handler.matches(info)), None)
