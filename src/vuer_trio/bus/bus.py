"""What all kinds of bus have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager

from .._connection.backoff import Backoff
from .._formatting import must_be
from .link import BusLink

__all__ = ["Bus"]


class Bus(ABC):
    """What several server processes have in common: `RedisBus`, or `MemoryBus`.

    It is given to ``SceneStore(bus=...)`` and ``serve_arc_relay(bus=...)``, of which several can
    have the same one. It holds no connection itself.
    """

    #: how a lost connection is opened again
    reconnect: Backoff

    def __init__(self, reconnect: Backoff) -> None:
        if not isinstance(reconnect, Backoff):
            raise TypeError(must_be("reconnect", "a Backoff", reconnect, "use Backoff()"))
        self.reconnect = reconnect

    @abstractmethod
    def _open_link(self) -> AbstractAsyncContextManager[BusLink]:
        """A link, for the length of a block. Raises LinkLost, Refused.

        What a task of its own finds to be lost is raised by the calls.
        """

    @property
    @abstractmethod
    def _shown(self) -> str:
        """Where it is, for messages: without secrets."""
