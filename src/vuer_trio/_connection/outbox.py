"""What a link's writer writes: what waits, what is remembered of it, and who is shown it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._websocket.transport import Outgoing
from .counters import Counters
from .observers import Observers, tell_observers
from .queue import Queue
from .replay import Replay

__all__ = ["Outbox"]


class Outbox:
    """Of one connection; it outlives the links."""

    def __init__(
        self,
        queue: Queue[Outgoing],
        counters: Counters,
        observers: Observers,
        replay: Replay | None,
    ) -> None:
        self.queue = queue
        self.replay = replay
        self._counters = counters
        self._observers = observers

    @property
    def may_write_through(self) -> bool:
        """Whether a sender may write for itself: not if every write is to be remembered."""
        return self.replay is None

    @property
    def unconfirmed(self) -> int:
        """Messages that were written, and that the peer may not have read, if that is asked."""
        return self.replay.unconfirmed if self.replay is not None else 0

    @property
    def confirmed_at(self) -> float:
        """When the peer confirmed something last."""
        return self.replay.confirmed_at if self.replay is not None else -math.inf

    def show(self, messages: Sequence[Outgoing]) -> None:
        """Messages are about to be written that never waited here."""
        if self._observers:
            tell_observers(self._observers, "sent", messages)

    def writing(self, batch: list[Outgoing]) -> None:
        """The writer is about to write what it took. Pings may be added to it."""
        if self.replay is not None:
            self.replay.send(batch)
        if self._observers:
            tell_observers(self._observers, "sent", batch)

    def written(self, batch: list[Outgoing]) -> None:
        """The writer has written it."""
        size = sum(map(len, batch))
        self._counters.count_sent(batch, size)
        if self.replay is None:
            self.queue.written(batch, size)

    def written_through(self, payload: Outgoing) -> None:
        """A sender has written one message itself."""
        self._counters.count_one(len(payload))
        if self._observers:
            tell_observers(self._observers, "sent", (payload,))

    def confirmed(self, payload: bytes) -> None:
        """A pong: the peer has read what was sent before that ping."""
        if self.replay is not None:
            self.replay.confirm(payload)
