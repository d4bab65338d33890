"""When to dial again."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Redial with growing delays: ``initial``, twice that, ... up to ``maximum`` seconds, each
    ``jitter`` (a share) shorter or longer.

    ``attempts``: how many dials in a row may fail, None for no limit. ``first``: the first dial
    is retried as well. ``replay``: send again what no pong has confirmed, so that nothing is lost
    and something may arrive twice; the peer must answer pings in reading order (aiohttp's servers
    do, those of websockets do not). The delay starts anew after a connection that lived longer
    than ``maximum``.
    """

    initial: float = 0.5
    maximum: float = 30.0
    attempts: int | None = None
    jitter: float = 0.1
    first: bool = False
    replay: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum < math.inf:
            raise ValueError(f"{self}: write 0 < initial <= maximum, in seconds")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"{self}: jitter is a share, 0 <= jitter < 1")
        if self.attempts is not None and self.attempts < 1:
            raise ValueError(f"{self}: attempts is at least 1, or None for no limit")

    def delays(self) -> Iterator[float]:
        """Seconds to wait before each dial of one gap; ends after ``attempts``."""
        delay = self.initial
        count = 0
        while self.attempts is None or count < self.attempts:
            yield delay * (1 + self.jitter * random.uniform(-1, 1))
            delay = min(self.maximum, delay * 2)
            count += 1
