"""The counters of a link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._websocket.transport import Ping

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """Counts of messages and payload bytes since the link opened; times in seconds."""

    sent: int = 0
    pings: int = 0
    received: int = 0
    bytes_sent: int = 0
    #: of the stream, framing included
    bytes_received: int = 0
    #: messages in flight when a link was lost, and not sent again
    lost: int = 0
    rtt: float | None = None
    rtt_min: float | None = None
    rtt_max: float | None = None

    def count_sent(self, payloads: Sequence[bytes], size: int) -> None:
        """Count written messages, perhaps with pings among them, of ``size`` bytes in total."""
        self.sent += len(payloads)
        self.bytes_sent += size
        if Ping in map(type, payloads):
            pings = [payload for payload in payloads if type(payload) is Ping]
            self.sent -= len(pings)
            self.pings += len(pings)
            self.bytes_sent -= sum(map(len, pings))

    def count_one(self, size: int) -> None:
        """Count a message that its sender wrote directly."""
        self.sent += 1
        self.bytes_sent += size

    def round_trip(self, seconds: float) -> None:
        """Record the round trip of a ping that did not wait behind data."""
        self.rtt = seconds
        self.rtt_min = seconds if self.rtt_min is None else min(self.rtt_min, seconds)
        self.rtt_max = seconds if self.rtt_max is None else max(self.rtt_max, seconds)
