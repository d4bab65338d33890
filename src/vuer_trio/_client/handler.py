"""How a Vuer client takes part in its connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._connection.freshness import Freshness
from .._connection.handler import ConnectionHandler
from .._connection.link import Link
from .._net.client_tls import TLSSessions
from .._websocket.transport import Message, Outgoing, Transport
from ..scene import Scene
from .connecting import connection_failed, dial_in_time
from .dispatch import Dispatch
from .options import Options

__all__ = ["ClientHandler"]


class ClientHandler(ConnectionHandler):
    """Of one connection. ``first()`` is what each link sends first; ``scene`` is cleared for each
    link, before anything of it is read."""

    #: what decodes messages on their way to the inbox, once somebody wants to see them there
    dispatch: Dispatch | None = None

    def __init__(
        self,
        options: Options,
        made: Callable[[], None],
        first: Callable[[], Sequence[bytes]],
        freshness: Freshness[Any],
        scene: Scene | None,
    ) -> None:
        super().__init__(made)
        self._options = options
        self._first = first
        self._freshness = freshness
        self._scene = scene
        self._sessions = TLSSessions()

    async def dial(self, link: Link, nursery: Any) -> Transport:
        return await dial_in_time(self._options, link, nursery, self._sessions)

    def wrap_error(self, uri: str, exc: Exception) -> Exception:
        return connection_failed(uri, exc)

    def preamble(self) -> Sequence[Outgoing]:
        return self._first()

    def link_opened(self) -> None:
        if self._scene is not None:
            self._scene.clear()

    def messages_received(self, messages: Sequence[Message], at: float) -> Sequence[Any]:
        if self.dispatch is not None:
            return self.dispatch.messages_received(messages, at)
        self._freshness.note(messages, at)
        return messages

    async def finish(self) -> None:
        if self.dispatch is not None:
            await self.dispatch.finish()
