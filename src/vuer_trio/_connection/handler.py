"""The interface through which the layer above takes part in a connection."""

# ruff: noqa: B027  # all methods but `dial` are optional hooks

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

from .._errors import VuerError
from .._websocket.transport import CloseInfo, Message, Outgoing, Transport

__all__ = ["ConnectionHandler"]


class ConnectionHandler(ABC):
    """Subclasses must define `dial`; the other methods do nothing by default.

    ``made`` is called when the first link is open, then dropped, so that the connection does not
    keep its user alive.

    For each link: `dial`; `preamble` and `link_opened`; `data_received` and `messages_received` for
    each read; `classify_error` and `link_ended`. Once: `connection_made`, before the first
    `link_opened`; `connection_lost`, when nothing more can be sent or received; `finish`. All but
    `dial` and `finish` are sync, and are called in the connection's own tasks.
    """

    _made: Callable[[], None] | None = None

    def __init__(self, made: Callable[[], None] | None = None) -> None:
        self._made = made

    @abstractmethod
    async def dial(self, link: Any, nursery: Any) -> Transport:
        """Open a WebSocket whose `Sink` is ``link``; its tasks run in ``nursery``.

        Raises exceptions that `wrap_error` can convert. Cancelled: nothing is left open.
        """

    def wrap_error(self, uri: str, exc: Exception) -> Exception:
        """Convert an exception of `dial` into the one that the user sees."""
        return exc

    def preamble(self) -> Sequence[Outgoing]:
        """The messages that each link sends first."""
        return ()

    def connection_made(self) -> None:
        """The first link is open, and nothing has been read. Called once."""
        made, self._made = self._made, None
        if made is not None:
            made()

    def link_opened(self) -> None:
        """A link is open, and nothing of it has been read."""

    def data_received(self, size: int) -> None:
        """``size`` bytes have arrived, framing included."""

    def messages_received(self, messages: Sequence[Message], at: float) -> Sequence[Any]:
        """Process messages read at time ``at``; return the items for the inbox."""
        return messages

    def classify_error(self, how: CloseInfo | Exception) -> VuerError | Literal["late"] | None:
        """Classify the end of a link or an exception of `dial`.

        Returns an error to end the connection for good, ``"late"`` to dial again after the longest
        delay of the backoff, or None.
        """
        return None

    def link_ended(self) -> None:
        """A link has ended, and its stream may still be open."""

    def connection_lost(self, error: VuerError) -> None:
        """Nothing more can be sent or received, because of ``error``."""

    async def finish(self) -> None:
        """The connection has ended. Clean up before its tasks are cancelled. A server's connection
        has no tasks of its own, and does not call it."""
