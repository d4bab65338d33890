"""To all sessions of a server at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from .._errors import ClientClosed, ConnectionClosed, OutboxFull
from .._transport.base import Prepared
from ..events import ServerEvent
from .verbs import Verbs

if TYPE_CHECKING:
    from .serving import Serving

__all__ = ["Broadcast"]

#: seconds until `send` yields: at least so many, and so many for each session. When it yields, each
#: session's writer wakes and writes what there is: work of about `_PAUSE_EACH`
_PAUSE, _PAUSE_EACH = 0.00025, 0.00005


class Broadcast(Verbs):
    """The verbs of a session, for all sessions; each message is encoded and framed once.

    A session whose outbox is full does not get the message: then OutboxFull is raised, after all
    others have got it. ``await broadcast.send(event)`` waits for room in every one.
    """

    def __init__(self, serving: Callable[[], Serving | None]) -> None:
        self._serving = serving  # None while the server is not running
        self._due = 0.0  # when `send` is to yield, on the clock of `perf_counter`

    def __matmul__(self, event: ServerEvent) -> None:
        """``broadcast @ event``: enqueue it now, in every session.

        Raises EncodeError, and OutboxFull when a session has no room.
        """
        self._send(event)

    def _send(self, event: ServerEvent) -> None:
        serving = self._serving()
        if serving is None:
            return
        serving.home.check()
        self._offer(serving, serving.prepare(event))

    def from_thread(self, event: ServerEvent) -> None:
        """``broadcast @ event`` from any thread; it is encoded in the calling one."""
        serving = self._serving()
        if serving is None:
            return
        serving.home.call(partial(self._offer, serving, serving.prepare(event)))

    def _offer(self, serving: Serving, message: Prepared) -> None:
        sessions = serving.sessions
        full = [session for session in sessions if not session.offer(message)]
        if full:
            raise OutboxFull(
                f"the outboxes of {len(full)} of {len(sessions)} sessions are full, "
                f"{full[0].peer}'s among them; use `await broadcast.send(event)`, which waits for "
                "room, or open the server with a larger outbox=Fifo(...)"
            )

    async def send(self, event: ServerEvent) -> None:
        """Wait for room in every session, one after another, and enqueue the event.

        A session that ends meanwhile is left out. It yields to other tasks at least every 0.25 ms,
        or 50 µs for each session. Raises EncodeError. Cancelled: some sessions have got it.
        """
        serving = self._serving()
        if serving is None:
            return
        serving.home.check_loop()
        message = serving.prepare(event)
        if perf_counter() < self._due:
            await serving.rt.checkpoint_if_cancelled()
        else:
            await serving.rt.checkpoint()
            self._due = perf_counter() + max(_PAUSE, len(serving.sessions) * _PAUSE_EACH)
        for session in list(serving.sessions):
            if session.offer(message):
                continue
            try:
                await session.enqueue(message)
            except (ConnectionClosed, ClientClosed):
                continue
