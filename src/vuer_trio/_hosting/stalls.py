"""Ends connections whose peers do not take what is sent to them."""

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
#: seconds between two checks of all connections, at most, and as a fraction of the timeout
_CHECK_EVERY, _FRACTION = 1.0, 8


@protected
async def end_stalled(
    rt: Runtime, connections: Callable[[], Iterable[Connection]], timeout: float
) -> None:
    """Run until cancelled: close each connection with 1008 of which nothing was written for
    ``timeout`` seconds although messages waited. With `math.inf`, never.

    What the peer sends meanwhile does not count. One task watches all connections, so that an idle
    one costs nothing: it loops over them once a second.
    """
    if timeout == math.inf:
        await rt.Event().wait()
    while True:
        now = rt.current_time()
        then = now + min(_CHECK_EVERY, timeout / _FRACTION)
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
