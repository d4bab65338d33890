"""What the layer above does for its connection: the one place where it takes part."""

# ruff: noqa: B027  # all but `dial` are hooks: what a subclass has no use for, it leaves out

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

from .._errors import VuerError
from .._websocket.transport import CloseInfo, Message, Outgoing, Transport

__all__ = ["ConnectionHandler"]


class ConnectionHandler(ABC):
    """A subclass dials; what else it does not define does nothing.

    For each link: `dial`; `preamble`, `link_opened`; `data_received` and `messages_received` as
    often as something is read; `classify_error`. Once: `connection_made`, before the first
    `link_opened`; `connection_lost`, when nothing more can be sent or received; `finish`. All but
    `dial` and `finish` are sync, and are called in the connection's own tasks.
    """

    @abstractmethod
    async def dial(self, link: Any, nursery: Any) -> Transport:
        """Open a WebSocket whose `Sink` is ``link``; ``nursery`` carries what tasks it needs.

        Raises what `wrap_error` makes sense of. Cancelled: nothing is left open.
        """

    def wrap_error(self, uri: str, exc: Exception) -> Exception:
        """What the user is to see for what `dial` raised."""
        return exc

    def preamble(self) -> Sequence[Outgoing]:
        """What each link sends first."""
        return ()

    def connection_made(self) -> None:
        """The first link is open, and nothing has been read. Once."""

    def link_opened(self) -> None:
        """A link is open, and nothing of it has been read."""

    def data_received(self, size: int) -> None:
        """So many bytes have arrived, framing included."""

    def messages_received(self, messages: Sequence[Message], at: float) -> Sequence[Any]:
        """Messages were read ``at`` that time; returns what goes into the inbox."""
        return messages

    def classify_error(self, how: CloseInfo | Exception) -> VuerError | Literal["late"] | None:
        """What an end, or what `dial` raised, means to the protocol above: an error that ends the
        connection for good, ``"late"`` to dial again as late as the backoff has it, or nothing."""
        return None

    def connection_lost(self, error: VuerError) -> None:
        """Nothing more can be sent or received, for this reason."""

    async def finish(self) -> None:
        """The connection has ended. What is still to be done before its tasks are cancelled."""
