"""What all connections of one server hold in memory together, bounded.

Nobody counts while nothing is wrong: what is held is added up only after as many bytes have
arrived or been made as there was room for. So a server whose clients read adds up about once in a
gigabyte.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._connection.connection import Connection
from .._websocket.transport import Prepared

__all__ = ["MemoryLimit"]

log = logging.getLogger("vuer_trio.link")

#: the IANA registry of close codes: try again later
_OVERLOADED = 1013
#: the part of the limit that may come at least until it is added up again
_STEP = 64


class MemoryLimit:
    """``limit`` is in bytes; ``whose`` says in the log what is bounded.

    When it is exceeded, the connections that hold the most are ended, the largest first, with what
    they hold thrown away.
    """

    def __init__(self, limit: int, whose: str) -> None:
        self._limit = limit
        self._whose = whose
        self._left = limit  # bytes that may come before it is to be added up
        self._members: dict[Connection, Callable[[], int]] = {}
        #: bytes of framed messages that exist: in the memory once, however many hold them
        self.shared: int = 0

    @contextmanager
    def member(self, connection: Connection, more: Callable[[], int] = int) -> Iterator[None]:
        """Count, during the block, what a connection holds, and ``more`` beside its messages.

        Its handler is to tell `count` what arrives.
        """
        self._members[connection] = more
        try:
            yield
        finally:
            self._members.pop(connection, None)

    def framed(self, message: Prepared) -> Prepared:
        """Count a message that several connections may get."""
        message.account = self
        size = len(message)
        self.count(size)
        self.shared += size
        return message

    def count(self, size: int) -> None:
        """So many bytes have arrived, or are to be sent, and are not in a box yet."""
        self._left -= size
        if self._left < 0:
            self._add_up(size)

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        own = (
            connection.held - connection.outbox.shared + more()
            for connection, more in self._members.items()
        )
        return self.shared + sum(own)

    def _add_up(self, coming: int) -> None:
        total = self.held + coming
        if total > self._limit:
            sizes = {
                connection: connection.held + more() for connection, more in self._members.items()
            }
            for connection in sorted(sizes, key=sizes.__getitem__, reverse=True):
                if total <= self._limit or not sizes[connection]:
                    break
                self._end(connection, sizes[connection])
                total = self.held + coming
        self._left = max(self._limit - total, self._limit // _STEP)

    def _end(self, connection: Connection, size: int) -> None:
        log.warning(
            "the messages of %s take more than %s bytes; %s holds %s of them, the most, so it "
            "ends; see max_buffered=",
            self._whose,
            f"{self._limit:,}",
            connection.uri,
            f"{size:,}",
        )
        if connection.open_link is not None:
            connection.open_link.dismiss(
                _OVERLOADED, "too many messages wait here; try again later"
            )
        for box in (*connection.boxes, connection.outbox):
            box.clear()
        del self._members[connection]  # what it still holds goes with its tasks
