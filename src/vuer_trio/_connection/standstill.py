"""Stopping the reader while a queue is full, and failing the calls that depend on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from .._errors import InboxFull
from .._runtime import Runtime
from .queue import Queue

__all__ = ["Standstill"]

log = logging.getLogger("vuer_trio.link")

#: seconds that a full inbox stops the reader before it starts to drop messages, or else pending
#: flushes fail; and seconds before a warning
_PATIENCE = 1.0
_WARN_AFTER = 10.0


class Standstill:
    """The backpressure of one connection. ``queues`` stop the reader when they are full.

    A default inbox from which nothing has ever been received gives way after a while: until the
    first receive call, it keeps the newest messages and drops the others.
    """

    def __init__(
        self, rt: Runtime, uri: str, inbox: Queue[Any], queues: Sequence[Queue[Any]] | None
    ) -> None:
        self.queues: list[Queue[Any]] = list(queues) if queues is not None else [inbox]
        #: whether the reader is stopped
        self.now: bool = False
        self._rt = rt
        self._uri = uri
        self._inbox = inbox

    async def drained(self, fail: Callable[[InboxFull], object]) -> None:
        """Wait while a queue is full. ``fail`` is called to fail calls that await an answer."""
        self.now = True
        try:
            with self._rt.move_on_after(_PATIENCE):
                return await self._room()
            if self._gives_way() and not self.full:
                return
            fail(self._error())
            with self._rt.move_on_after(_WARN_AFTER - _PATIENCE):
                return await self._room()
            log.warning(
                "the inbox of %s has been full for %g s, so nothing is read: receive more often, "
                "or open it with a larger inbox=Fifo(...)",
                self._uri,
                _WARN_AFTER,
            )
            await self._room()
        finally:
            self.now = False

    @property
    def full(self) -> bool:
        """Whether the reader must stop."""
        for queue in self.queues:  # noqa: SIM110  # on each read: a generator costs twice as much
            if queue.full:
                return True
        return False

    async def _room(self) -> None:
        while self.full:
            for queue in self.queues:
                await queue.drained()

    @property
    def _will_give_way(self) -> bool:
        return self._inbox.stops and not self._inbox.has_consumer

    def _gives_way(self) -> bool:
        inbox = self._inbox
        due = self._will_give_way and inbox.full
        if due:
            inbox.stops = False
            log.warning(
                "nothing was received from %s within %g s after its inbox was full: until the "
                "first recv, it keeps the newest %d messages and counts the others; open a client "
                "that only sends with inbox=Discard(), and one that must not lose messages with "
                "inbox=Fifo(...)",
                self._uri,
                _PATIENCE,
                inbox.policy.capacity,
            )
        return due

    def check(self) -> None:
        """Raise InboxFull if no answer can be read, unless the inbox is about to give way."""
        if self.now and any(
            queue.awaited and not (queue is self._inbox and self._will_give_way)
            for queue in self.queues
        ):
            raise self._error()

    def _error(self) -> InboxFull:
        return InboxFull(
            f"the inbox of {self._uri} is full ({len(self._inbox.items)} messages), so no answer "
            "can be read: receive first"
        )
