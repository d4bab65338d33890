"""How a Vuer client takes part in its connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .._connection.handler import ConnectionHandler
from .._connection.link import Link
from .._websocket.transport import Message, Outgoing, Transport
from .connecting import connection_failed, dial_in_time
from .options import Options

__all__ = ["ClientHandler", "Reader"]


class Reader(Protocol):
    """What looks at messages on their way to the inbox."""

    def messages_received(self, messages: Sequence[Any], at: float) -> Sequence[Any]:
        """What goes into the inbox."""

    async def finish(self) -> None:
        """Wait for what it has begun."""


class ClientHandler(ConnectionHandler):
    """Of one connection. ``first()`` is what each link sends first, ``cleared()`` is called for
    each link, before anything of it is read."""

    def __init__(
        self,
        options: Options,
        made: Callable[[], None],
        first: Callable[[], Sequence[bytes]],
        cleared: Callable[[], None] | None,
        reader: Reader,
    ) -> None:
        self._options = options
        self._made: Callable[[], None] | None = made
        self._first = first
        self._cleared = cleared
        #: the one that looks now
        self.reader = reader

    async def dial(self, link: Link, nursery: Any) -> Transport:
        return await dial_in_time(self._options, link, nursery)

    def wrap_error(self, uri: str, exc: Exception) -> Exception:
        return connection_failed(uri, exc)

    def preamble(self) -> Sequence[Outgoing]:
        return self._first()

    def connection_made(self) -> None:
        made, self._made = self._made, None
        assert made is not None
        made()

    def link_opened(self) -> None:
        if self._cleared is not None:
            self._cleared()

    def messages_received(self, messages: Sequence[Message], at: float) -> Sequence[Any]:
        return self.reader.messages_received(messages, at)

    async def finish(self) -> None:
        await self.reader.finish()
