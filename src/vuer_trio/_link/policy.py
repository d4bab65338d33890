"""Delivery policies: what a box does when it is full."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Fifo"]

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Fifo:
    """Keep everything, in order; whoever fills a full box waits.

    ``capacity`` in messages, ``max_bytes`` in bytes of payload. One message may overshoot the
    bytes, so that none is too large for ever.
    """

    capacity: int = 1024
    max_bytes: int = 64 * _MIB

    def __post_init__(self) -> None:
        if self.capacity < 1 or self.max_bytes < 1:
            raise ValueError(f"{self}: a box needs room for at least one message")
