"""Ends the connections whose peers take nothing of what waits for them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable

from .._connection.connection import Connection
from .._interrupts import protected
from .._runtime import Runtime

__all__ = ["end_stalled"]

log = logging.getLogger("vuer_trio.link")

#: RFC 6455 §7.4.1
_POLICY = 1008
#: seconds between two looks at all connections, at most; and what part of the timeout
_LOOK, _PART = 1.0, 8


@protected
async def end_stalled(
    rt: Runtime, connections: Callable[[], Iterable[Connection]], timeout: float
) -> None:
    """Until cancelled: end each connection with 1008 that has had something to be written for
    ``timeout`` seconds, of which no byte has left. `math.inf`: none.

    What the peer sends meanwhile is not a sign of life here. One task looks after all
    connections, so that an idle one costs nothing: a look is one loop over them, once a second.
    """
    if timeout == math.inf:
        await rt.Event().wait()
    while True:
        now = rt.current_time()
        then = now + min(_LOOK, timeout / _PART)
        for connection in list(connections()):
            link = connection.open_link
            since = None if link is None else link.writing_since
            if link is None or since is None:
                continue
            if since + timeout > now:
                then = min(then, since + timeout)
                continue
            log.warning(
                "%s has taken nothing for %g s of what waits for it (%d messages, %d bytes), so "
                "its connection ends; see stall_timeout=",
                connection.uri,
                timeout,
                connection.outbox.count,
                connection.outbox.bytes,
            )
            link.dismiss(_POLICY, f"nothing of what was sent was taken for {timeout:g} s")
        await rt.sleep_until(then)
