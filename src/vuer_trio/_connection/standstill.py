"""The reader at a standstill: it waits for room in a box, and what waits for it has to know."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from .._errors import InboxFull
from .._runtime import Runtime
from .queue import Queue

__all__ = ["Standstill"]

log = logging.getLogger("vuer_trio.link")

#: seconds that a full inbox stops the reader before it gives way, or else pending flushes fail;
#: and before a warning
_PATIENCE = 1.0
_WARN_AFTER = 10.0


class Standstill:
    """Of one connection. ``boxes`` are those that stop the reader when they are full.

    An inbox that nobody has chosen, and from which nobody has ever tried to take, gives way after
    a while: it keeps the newest until somebody does.
    """

    def __init__(
        self, rt: Runtime, uri: str, inbox: Queue[Any], boxes: Sequence[Queue[Any]] | None
    ) -> None:
        self.boxes: list[Queue[Any]] = list(boxes) if boxes is not None else [inbox]
        #: whether the reader waits
        self.now: bool = False
        self._rt = rt
        self._uri = uri
        self._inbox = inbox

    async def drained(self, fail: Callable[[InboxFull], object]) -> None:
        """Keep the reader waiting while a box is full. ``fail`` tells those who wait for answers
        that none can be read."""
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
        """Whether the reader is to stop."""
        for box in self.boxes:  # noqa: SIM110  # asked for each read: a generator doubles its cost
            if box.full:
                return True
        return False

    async def _room(self) -> None:
        while self.full:
            for box in self.boxes:
                await box.drained()

    @property
    def _will_give_way(self) -> bool:
        return self._inbox.stops and not self._inbox.has_consumer

    def _gives_way(self) -> bool:
        inbox = self._inbox
        due = self._will_give_way and inbox.full
        if due:
            inbox.stops = False
            log.warning(
                "nobody has received from %s within %g s after its inbox was full: until somebody "
                "does, it keeps the newest %d messages and counts the others; a client that only "
                "sends is opened with inbox=Discard(), one that is to lose nothing with "
                "inbox=Fifo(...)",
                self._uri,
                _PATIENCE,
                inbox.policy.capacity,
            )
        return due

    def check(self) -> None:
        """Raises InboxFull if no answer can be read, unless that is about to change."""
        if self.now and any(
            box.awaited and not (box is self._inbox and self._will_give_way) for box in self.boxes
        ):
            raise self._error()

    def _error(self) -> InboxFull:
        return InboxFull(
            f"the inbox of {self._uri} is full ({len(self._inbox.items)} messages), so no answer "
            "can be read: receive first"
        )
