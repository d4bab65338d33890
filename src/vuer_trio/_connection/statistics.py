"""The statistics of a client or session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .counters import Counters
from .queue import Queue

__all__ = ["Statistics", "measure"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of a client or of a server's session; immutable.

    Counts are for the latest connection; times are in seconds.
    """

    #: messages sent, and bytes of their payload
    sent: int
    bytes_sent: int
    #: messages received, and bytes of the stream, framing included
    received: int
    bytes_received: int
    #: messages (and bytes) waiting to be written, and to be received
    outbox: int
    outbox_bytes: int
    inbox: int
    inbox_bytes: int
    #: messages and handler calls dropped by a policy
    dropped: int
    #: messages in flight when a connection was lost, and not sent again
    lost: int
    #: connections opened after the first one
    reconnects: int
    #: round trip time of heartbeat pings; None before the first pong
    rtt: float | None
    rtt_min: float | None
    rtt_max: float | None
    #: time since data last arrived; None before the first connection
    silence: float | None
    #: broadcasts that a session missed because its outbox was full
    skipped: int = 0
    #: scene changes that `Latest` merged into one that was waiting
    replaced: int = 0


def measure(
    counters: Counters,
    outbox: Queue[Any],
    inbox: Queue[Any],
    queues: Iterable[Queue[Any]],
    *,
    silence: float | None,
    reconnects: int = 0,
    skipped: int = 0,
) -> Statistics:
    """The current statistics. ``queues`` are all queues that may drop received messages."""
    return Statistics(
        sent=counters.sent,
        bytes_sent=counters.bytes_sent,
        received=counters.received,
        bytes_received=counters.bytes_received,
        outbox=outbox.count,
        outbox_bytes=outbox.bytes,
        inbox=inbox.count,
        inbox_bytes=inbox.bytes,
        dropped=outbox.dropped + sum(queue.dropped for queue in queues),
        lost=counters.lost,
        reconnects=reconnects,
        rtt=counters.rtt,
        rtt_min=counters.rtt_min,
        rtt_max=counters.rtt_max,
        silence=silence,
        skipped=skipped,
        replaced=outbox.replaced,
    )
