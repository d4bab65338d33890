"""Delays between attempts to connect."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from .._formatting import must_be

__all__ = ["Backoff", "Delays"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Redial with growing delays: ``initial``, twice that, ... up to ``maximum`` seconds, each
    ``jitter`` (a share) shorter or longer.

    ``attempts``: give up after this many failed attempts in a row, None for never. ``first``: retry
    the first attempt as well. ``replay``: send messages that no pong has confirmed again, so that
    nothing is lost, but a message may arrive twice; the peer must answer pings in reading order
    (servers on aiohttp do, those on websockets do not). The delay is reset after a connection that
    lasted longer than ``maximum``.
    """

    initial: float = 0.5
    maximum: float = 30.0
    attempts: int | None = None
    jitter: float = 0.1
    first: bool = False
    replay: bool = False

    def __post_init__(self) -> None:
        for name in ("initial", "maximum", "jitter"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(must_be(name, "a number", value))
        if not 0 < self.initial < math.inf:
            raise ValueError(must_be("initial", "more than 0 seconds, and finite", self.initial))
        if not self.initial <= self.maximum < math.inf:
            what = f"at least initial, {self.initial} seconds, and finite"
            raise ValueError(must_be("maximum", what, self.maximum))
        if not 0 <= self.jitter < 1:
            raise ValueError(must_be("jitter", "a share, at least 0 and below 1", self.jitter))
        if self.attempts is not None:
            if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
                raise TypeError(must_be("attempts", "an int, or None for no limit", self.attempts))
            if self.attempts < 1:
                what = "at least 1, or None for no limit"
                raise ValueError(must_be("attempts", what, self.attempts))


class Delays:
    """The delays of one client before it dials again, in seconds.

    ``spread`` randomises a delay; by default, ``jitter`` does.
    """

    def __init__(self, backoff: Backoff, spread: Callable[[float], float] | None = None) -> None:
        self._backoff = backoff
        self._spread = spread or self._jittered
        self._next = backoff.initial
        self._failed = 0  # failed dials in a row

    def after_failure(self, late: bool = False) -> float | None:
        """The delay after a failed dial; None to give up. ``late``: use the longest delay."""
        self._failed += 1
        return None if self._failed == self._backoff.attempts else self._delay(late)

    def after_link(self, lived: float, late: bool = False) -> float:
        """The delay after a link that ended after ``lived`` seconds."""
        self._failed = 0
        if lived > self._backoff.maximum:
            self._next = self._backoff.initial
        return self._delay(late)

    def _delay(self, late: bool) -> float:
        most = self._backoff.maximum
        delay, self._next = (most if late else self._next), min(most, self._next * 2)
        return self._spread(delay)

    def _jittered(self, delay: float) -> float:
        return delay * (1 + self._backoff.jitter * random.uniform(-1, 1))
