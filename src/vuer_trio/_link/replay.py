"""What was written and may not have been read: kept, and sent again on the next link."""

from __future__ import annotations

from collections import deque

from .._transport.base import Outgoing, Ping
from .box import Box
from .pings import Pings

__all__ = ["Replay"]

#: messages, and bytes, after which the peer is asked what it has read
_COUNT, _BYTES = 256, 1 << 20


class Replay:
    """Remembers what no pong has confirmed. It counts against the outbox."""

    def __init__(self, outbox: Box[Outgoing], pings: Pings) -> None:
        self._outbox = outbox
        self._pings = pings
        self._written: deque[Outgoing] = deque()  # in order, pings between
        self._marks: set[bytes] = set()  # our own pings, which do not count against the outbox
        self._count = 0  # messages, and bytes, since the last ping
        self._bytes = 0

    def mark(self, batch: list[Outgoing]) -> None:
        """Ask, behind ``batch``, what has been read: now and then, and before a pause."""
        for item in batch:
            if type(item) is Ping:
                self._count = self._bytes = 0
            else:
                self._count += 1
                self._bytes += len(item)
        due = self._count >= _COUNT or self._bytes >= _BYTES or not self._outbox.items
        if self._count and due:
            key = self._pings.new_key()
            self._marks.add(key)
            batch.append(Ping(key))
            self._count = self._bytes = 0

    def remember(self, batch: list[Outgoing]) -> None:
        """``batch`` has been written."""
        self._written.extend(batch)

    def confirm(self, key: bytes) -> None:
        """The peer has read everything before the ping with this key."""
        if not any(type(item) is Ping and item == key for item in self._written):
            return
        done = []
        while self._written:
            item = self._written.popleft()
            if not self._is_mark(item):
                done.append(item)
            if type(item) is Ping and item == key:
                break
        self._outbox.written(done)

    def put_back(self, batch: list[Outgoing]) -> None:
        """The link is lost: all of it is to be written again, before everything else."""
        again = [item for item in (*self._written, *batch) if not self._is_mark(item)]
        self._written.clear()
        self._count = self._bytes = 0
        self._outbox.put_back(again)

    def _is_mark(self, item: Outgoing) -> bool:
        if type(item) is Ping and item in self._marks:
            self._marks.discard(bytes(item))
            return True
        return False
