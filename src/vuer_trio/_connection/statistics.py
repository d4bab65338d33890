"""What a client tells about itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .counters import Counters
from .queue import Queue

__all__ = ["Statistics", "measure"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """An immutable record, of a client or of a server's session.

    Counts are of the latest connection; times are seconds.
    """

    #: messages, and bytes of their payload
    sent: int
    bytes_sent: int
    #: messages; bytes of the stream, framing included
    received: int
    bytes_received: int
    #: messages (and bytes) that wait to be written, and to be received
    outbox: int
    outbox_bytes: int
    inbox: int
    inbox_bytes: int
    #: messages, and calls of handlers, that a policy dropped
    dropped: int
    #: messages that were on their way when a connection was lost, and were not sent again
    lost: int
    #: connections opened after the first one
    reconnects: int
    #: of heartbeat pings; None before the first answer
    rtt: float | None
    rtt_min: float | None
    rtt_max: float | None
    #: since anything arrived; None before the first connection
    silence: float | None
    #: of a session: broadcasts that it did not get, as its outbox was full
    skipped: int = 0


def measure(
    counters: Counters,
    outbox: Queue[Any],
    inbox: Queue[Any],
    boxes: Iterable[Queue[Any]],
    *,
    silence: float | None,
    reconnects: int = 0,
    skipped: int = 0,
) -> Statistics:
    """Counts, depths and times, as they are now. ``boxes`` are all that may drop received ones."""
    return Statistics(
        sent=counters.sent,
        bytes_sent=counters.bytes_sent,
        received=counters.received,
        bytes_received=counters.bytes_received,
        outbox=outbox.count,
        outbox_bytes=outbox.bytes,
        inbox=inbox.count,
        inbox_bytes=inbox.bytes,
        dropped=outbox.dropped + sum(box.dropped for box in boxes),
        lost=counters.lost,
        reconnects=reconnects,
        rtt=counters.rtt,
        rtt_min=counters.rtt_min,
        rtt_max=counters.rtt_max,
        silence=silence,
        skipped=skipped,
    )
