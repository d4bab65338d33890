"""A sliding-window rate limit: sends beyond it wait their turn."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._formatting import must_be
from .._interrupts import protected_methods
from .._runtime import Runtime

__all__ = ["RateLimit", "Window"]

log: logging.Logger = logging.getLogger("vuer_trio.arc")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``count`` messages in any interval of ``per`` seconds."""

    count: int
    per: float = 60.0

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            what = "an int of at least 1"
            raise ValueError(must_be("count", what, self.count))
        if isinstance(self.per, bool) or not isinstance(self.per, int | float):
            raise TypeError(must_be("per", "a number of seconds", self.per))
        if not 0 < self.per < math.inf:
            what = "more than 0 seconds, and finite"
            raise ValueError(must_be("per", what, self.per))


@protected_methods
class Window:
    """A sliding window: the times of the latest messages, on the loop's clock.

    Messages admitted while disconnected leave, and count, when the next connection opens.
    """

    def __init__(
        self, rt: Runtime, limit: RateLimit, check: Callable[[], None] = lambda: None
    ) -> None:
        self._rt = rt
        self._check = check  # raises once waiting is pointless
        self._limit = limit
        self._times: deque[float] = deque()
        self._held = 0  # slots taken while disconnected
        self._gap = False
        self._line: deque[Any] = deque()  # the events of waiting tasks, in order

    def try_admit(self, places: int = 1) -> bool:
        """Take ``places`` slots now, if they are free and nobody is waiting for one.

        Returns whether they were taken. Raises ValueError for more than the limit allows at all.
        """
        if places > self._limit.count:
            raise ValueError(
                f"the rate limit admits at most {self._limit.count} messages in one step, got "
                f"{places}; send them in several steps"
            )
        if self._line or self.wait_time(places) > 0:
            return False
        self._take(places)
        return True

    def _take(self, places: int) -> None:
        if self._gap:
            self._held += places
        else:
            self._times.extend([self._rt.current_time()] * places)

    def wait_time(self, places: int = 1) -> float:
        """Seconds until ``places`` slots are free; infinite if that requires a connection first."""
        now, limit, times = self._rt.current_time(), self._limit, self._times
        while times and times[0] + limit.per <= now:
            times.popleft()
        too_many = len(times) + self._held + places - limit.count
        if too_many <= 0:
            return 0.0
        return times[too_many - 1] + limit.per - now if too_many <= len(times) else math.inf

    async def admit(self, places: int = 1) -> None:
        """Wait for ``places`` slots, first come, first served. Cancelled: none is taken.

        Raises ValueError for more than the limit allows at all, and the error of ``check``.
        """
        if self.try_admit(places):
            return
        turn = self._rt.Event()
        self._line.append(turn)
        try:
            if self._line[0] is not turn:
                await turn.wait()
            told = False
            while (wait := self.wait_time(places)) > 0:
                self._check()
                if not told:
                    told = True
                    log.info("%s: waiting %.1f s before sending", self._limit, wait)
                self._line[0] = turn = self._rt.Event()
                with self._rt.move_on_after(wait):
                    await turn.wait()
            self._take(places)
        finally:
            self._line.remove(turn)
            self.wake()

    def give_back(self, places: int = 1) -> None:
        """Free the ``places`` slots taken last, whose messages were not sent."""
        for _ in range(places):
            if self._held:
                self._held -= 1
            elif self._times:
                self._times.pop()
        self.wake()

    def wake(self) -> None:
        """Let the first waiting task check again."""
        if self._line:
            self._line[0].set()

    def lost(self) -> None:
        """The connection was lost; slots taken from now on count when the next one opens."""
        self._gap = True

    def opened(self) -> None:
        """A connection has opened: messages enqueued while disconnected leave, and count, now."""
        now = self._rt.current_time()
        self._times.extend([now] * self._held)
        self._held, self._gap = 0, False
        self.wake()
