"""How a session takes part in its connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._connection.handler import ConnectionHandler
from .._connection.link import Link
from .._websocket.transport import Message, Transport

if TYPE_CHECKING:
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["SessionConnectionHandler"]


class SessionConnectionHandler(ConnectionHandler):
    """``count(size)`` is told what has arrived."""

    #: what looks at messages on their way to the inbox
    read: Callable[[Sequence[Message], float], Sequence[Any]]

    def __init__(self, incoming: IncomingRequest, count: Callable[[int], None]) -> None:
        self._incoming = incoming
        self._count = count

    async def dial(self, link: Link, nursery: Any) -> Transport:
        return await self._incoming.accept(link, nursery)

    def data_received(self, size: int) -> None:
        self._count(size)

    def messages_received(self, messages: Sequence[Message], at: float) -> Sequence[Any]:
        return self.read(messages, at)
