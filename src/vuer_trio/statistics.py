"""What a client tells about itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Statistics"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """An immutable record. Counts are of the latest connection; times are seconds."""

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
