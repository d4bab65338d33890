"""The events of a client, for a generator that asks for them one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .._connection.policies import DropOldest
from .._errors import ProtocolError
from .._runtime import Runtime
from .._websocket.transport import Text
from ..events import ClientEvent, received_client_event

if TYPE_CHECKING:
    from .._connection.observers import Observer
    from .._connection.queue import Queue

__all__ = ["ClientEvents", "Observed"]


class Observed(Protocol):
    """A session."""

    def observe(self, fn: Observer) -> Callable[[], None]: ...


class ClientEvents:
    """Those of one session, from its INIT on; the newest 1,024 that have not been asked for.

    They are kept from `begin` or the first `next` on. Handlers, and ``recv``, see them as well.
    """

    def __init__(self, session: Observed, rt: Runtime) -> None:
        self._session = session
        self._rt = rt
        self._queue: Queue[Any] | None = None
        self._stop: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """Keep them from now on."""
        self._queue = DropOldest().open(self._rt)
        self._stop = self._session.observe(self._see)

    async def next(self) -> ClientEvent:
        """Wait for the next one. Cancelled: none has been taken."""
        if self._queue is None:
            self.begin()
        assert self._queue is not None
        await self._rt.checkpoint()
        while True:
            while not self._queue.items:
                await self._queue.arrival()
            message = self._queue.pop()
            with suppress(ProtocolError):  # it ends the session
                event = received_client_event(message)
                event.dropped_before = self._queue.dropped_since  # type: ignore[attr-defined]
                self._queue.dropped_since = 0
                return event

    def _see(self, direction: Literal["received", "sent"], messages: Sequence[Any]) -> None:
        if direction == "received":
            assert self._queue is not None
            self._queue.extend([message for message in messages if type(message) is not Text])

    def close(self) -> None:
        """No more are kept."""
        self._stop()
