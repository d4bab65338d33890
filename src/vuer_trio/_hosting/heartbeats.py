"""The heartbeats of all connections of a server."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from .._connection.connection import Connection
from .._interrupts import protected
from .._runtime import Runtime

__all__ = ["ask_silent"]

#: looks at all connections within one interval, at most
_LOOKS = 64


@protected
async def ask_silent(
    rt: Runtime, connections: Callable[[], Iterable[Connection]], interval: float
) -> None:
    """Run until cancelled: ask each connection for a sign of life after ``interval`` seconds of
    silence. With `math.inf`, never.

    One task for all of them: an idle connection has none, which would take 3 KiB.
    """
    if interval == math.inf:
        await rt.Event().wait()
    while True:
        now = rt.current_time()
        then = now + interval
        for connection in connections():
            link = connection.open_link
            if link is None or link.asking:
                continue
            due = link.heard_at + interval
            if due > now:
                then = min(then, due)
            else:
                link.ask()
        await rt.sleep_until(max(then, now + interval / _LOOKS))
