"""To all sessions of a server at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._errors import ClientClosed, ConnectionClosed, OutboxFull
from .._transport.framing import prepare
from ..events import ServerEvent
from .session import VuerSession
from .verbs import Verbs

__all__ = ["Broadcast"]


class Broadcast(Verbs):
    """The verbs of a session, for all sessions; each message is encoded and framed once.

    A session whose outbox is full does not get the message: then OutboxFull is raised, after all
    others have got it. ``await broadcast.send(event)`` waits for room in every one.
    """

    def __init__(
        self, sessions: Callable[[], Iterable[VuerSession]], encode: Callable[[], Any]
    ) -> None:
        self._sessions = sessions
        self._encode = encode

    def __matmul__(self, event: ServerEvent) -> None:
        """``broadcast @ event``: enqueue it now, in every session.

        Raises EncodeError, and OutboxFull when a session has no room.
        """
        self._send(event)

    def _send(self, event: ServerEvent) -> None:
        sessions = list(self._sessions())
        if not sessions:
            return
        message = prepare(self._encode()(event))
        full = [session for session in sessions if not session.offer(message)]
        if full:
            raise OutboxFull(
                f"the outboxes of {len(full)} of {len(sessions)} sessions are full, "
                f"{full[0].peer}'s among them; use `await broadcast.send(event)`, which waits for "
                "room, or open the server with a larger outbox=Fifo(...)"
            )

    async def send(self, event: ServerEvent) -> None:
        """Wait for room in every session, one after another, and enqueue the event.

        A session that ends meanwhile is left out. Raises EncodeError. Cancelled: some sessions
        have got it.
        """
        sessions = list(self._sessions())
        if not sessions:
            return
        message = prepare(self._encode()(event))
        for session in sessions:
            try:
                await session.enqueue(message)
            except (ConnectionClosed, ClientClosed):
                continue
