"""Says in the log which connections fall behind with what is sent to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary, WeakSet

from .._connection.connection import Connection
from .._interrupts import protected
from .._runtime import Runtime

__all__ = ["report_lagging"]

log = logging.getLogger("vuer_trio.link")

#: seconds between two looks; what waits for so long is late
_LOOK = 1.0


@protected
async def report_lagging(rt: Runtime, connections: Callable[[], Iterable[Connection]]) -> None:
    """Until cancelled: warn, once for each connection, when a message has waited for a second.

    No message carries a time: what had been enqueued at one look, and has not left at the next one,
    has waited that long. So an idle connection costs one comparison a second, a message nothing.
    """
    #: messages and pings that had been enqueued at the latest look
    marks: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()
    told: WeakSet[Connection] = WeakSet()
    while True:
        for connection in connections():
            queue, link = connection.outbox, connection.open_link
            if link is None or link.writing_since is None:
                marks.pop(connection, None)
                continue
            counters = connection.counters
            left = counters.sent + counters.pings + queue.dropped
            if left < marks.get(connection, 0) and connection not in told:
                told.add(connection)
                log.warning(
                    "%s reads too slowly: it is more than %g s behind, with %d messages (%d bytes) "
                    "that wait for it; send less, or use outbox=Latest(), which replaces what "
                    "waits by what is newer",
                    connection.uri,
                    _LOOK,
                    queue.count,
                    queue.bytes,
                )
            marks[connection] = left + queue.count
        await rt.sleep(_LOOK)
