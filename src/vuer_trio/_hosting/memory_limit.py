"""A bound on the memory that all connections of one server take together.

While nothing is wrong, nothing is summed up: that happens only once as many bytes have arrived, or
have been encoded, as there was room for. A server whose clients keep up sums up about once in a
gigabyte.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._connection.connection import Connection
from .._websocket.transport import Prepared

__all__ = ["MemoryLimit"]

log = logging.getLogger("vuer_trio.link")

#: the IANA registry of close codes: try again later
_OVERLOADED = 1013
#: at least this part of the limit may arrive before it is summed up again
_STEP = 64


class MemoryLimit:
    """At most ``limit`` bytes. ``whose`` names the connections in the log: "all sessions".

    When the limit is exceeded, the connections that hold the most are closed, the largest first,
    and what they hold is discarded.
    """

    def __init__(self, limit: int, whose: str) -> None:
        self._limit = limit
        self._whose = whose
        self._left = limit  # bytes that may arrive before it is summed up again
        self._members: dict[Connection, Callable[[], int]] = {}
        #: bytes of framed messages, each counted once however many connections hold it
        self.shared: int = 0

    def add(self, connection: Connection, more: Callable[[], int] = int) -> None:
        """Include a connection, and the ``more()`` bytes that it holds in addition to its messages.

        Its handler has to report what arrives to `count`.
        """
        self._members[connection] = more

    def drop(self, connection: Connection) -> None:
        """It has ended."""
        self._members.pop(connection, None)

    def framed(self, message: Prepared) -> Prepared:
        """Count a message that may go to several connections."""
        message.account = self
        size = len(message)
        self.count(size)
        self.shared += size
        return message

    def count(self, size: int) -> None:
        """``size`` bytes have arrived or are about to be sent, and are not in a queue yet."""
        self._left -= size
        if self._left < 0:
            self._sum_up(size)

    @property
    def held(self) -> int:
        """The number of bytes that are held now."""
        own = (
            connection.held - connection.shared + more()
            for connection, more in self._members.items()
        )
        return self.shared + sum(own)

    def _sum_up(self, coming: int) -> None:
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
        for queue in (*connection.queues, connection.outbox):
            queue.clear()
        del self._members[connection]  # what it still holds is freed with its tasks
