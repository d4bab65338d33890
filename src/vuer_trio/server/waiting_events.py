"""The reference's older way to receive: taking what has come, without waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..events import ClientEvent
from .dispatcher import taken

if TYPE_CHECKING:
    from .._connection.connection import Connection
    from .._connection.queue import Queue

__all__ = ["WaitingEvents"]


class WaitingEvents:
    """Of a session: the events that `VuerSession.recv` would return, for code that polls.

    They do not count as receiving: a program that calls them once and never again stops nobody,
    and keeps the newest, as long as it does not call `VuerSession.recv`.
    """

    _connection: Connection

    def popleft(self) -> ClientEvent | None:
        """Take the oldest event that waits. None if there is none, or the session has ended."""
        inbox = self._inbox
        return taken(inbox.pop()) if inbox.items else None

    def pop(self) -> ClientEvent | None:
        """Take the newest event that waits. None if there is none, or the session has ended."""
        inbox = self._inbox
        return taken(inbox.pop_newest()) if inbox.items else None

    def clear(self) -> None:
        """Throw away the events that wait."""
        self._inbox.clear()

    def stream(self) -> Iterator[ClientEvent]:
        """The events that wait now, the oldest first. They stay where they are."""
        return map(taken, list(self._inbox.items))

    @property
    def _inbox(self) -> Queue[Any]:
        self._connection.home.check()
        return self._connection.inbox
