"""What a link counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._websocket.transport import Ping

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """Messages and bytes of payload since the link opened; times in seconds."""

    sent: int = 0
    received: int = 0
    bytes_sent: int = 0
    #: of the stream, framing included
    bytes_received: int = 0
    #: messages that were on their way when a link was lost, and were not sent again
    lost: int = 0
    rtt: float | None = None
    rtt_min: float | None = None
    rtt_max: float | None = None

    def count_sent(self, payloads: Sequence[bytes], size: int) -> None:
        """Messages of together ``size`` bytes were written, and perhaps pings among them."""
        self.sent += len(payloads)
        self.bytes_sent += size
        if Ping in map(type, payloads):
            pings = [payload for payload in payloads if type(payload) is Ping]
            self.sent -= len(pings)
            self.bytes_sent -= sum(map(len, pings))

    def count_one(self, size: int) -> None:
        """One message was written by its sender."""
        self.sent += 1
        self.bytes_sent += size

    def round_trip(self, seconds: float) -> None:
        """A pong answered a ping that had not waited behind data."""
        self.rtt = seconds
        self.rtt_min = seconds if self.rtt_min is None else min(self.rtt_min, seconds)
        self.rtt_max = seconds if self.rtt_max is None else max(self.rtt_max, seconds)
