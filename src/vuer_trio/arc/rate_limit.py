"""Never more than so many messages in so many seconds: who sends more waits."""

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
    """At most ``count`` messages in any ``per`` seconds, however they are spread."""

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
    """A sliding window: the times of the last messages, on the loop's clock.

    While there is no connection no message leaves: what is admitted then counts from the moment
    when the next connection opens.
    """

    def __init__(
        self, rt: Runtime, limit: RateLimit, check: Callable[[], None] = lambda: None
    ) -> None:
        self._rt = rt
        self._check = check  # raises when waiting is in vain
        self._limit = limit
        self._times: deque[float] = deque()
        self._held = 0  # admitted while there was no connection
        self._gap = False
        self._line: deque[Any] = deque()  # events of who waits, in order

    def try_admit(self) -> bool:
        """Take a place now, if there is one and nobody waits for it."""
        if self._line or self.wait_time() > 0:
            return False
        self._take()
        return True

    def _take(self) -> None:
        if self._gap:
            self._held += 1
        else:
            self._times.append(self._rt.current_time())

    def wait_time(self) -> float:
        """Seconds until there is a place; infinite if that takes a connection first."""
        now, limit, times = self._rt.current_time(), self._limit, self._times
        while times and times[0] + limit.per <= now:
            times.popleft()
        if len(times) + self._held < limit.count:
            return 0.0
        return times[0] + limit.per - now if times else math.inf

    async def admit(self) -> None:
        """Wait for a place, in the order of arrival. Cancelled: nothing has changed.

        Raises what the check of a closed connection does.
        """
        if self.try_admit():
            return
        turn = self._rt.Event()
        self._line.append(turn)
        try:
            if self._line[0] is not turn:
                await turn.wait()
            told = False
            while (wait := self.wait_time()) > 0:
                self._check()
                if not told:
                    told = True
                    log.info("%s: sending waits %.1f s for its turn", self._limit, wait)
                self._line[0] = turn = self._rt.Event()
                with self._rt.move_on_after(wait):
                    await turn.wait()
            self._take()
        finally:
            self._line.remove(turn)
            self.wake()

    def give_back(self) -> None:
        """Nothing came of the place that was taken last."""
        if self._held:
            self._held -= 1
        elif self._times:
            self._times.pop()
        self.wake()

    def wake(self) -> None:
        """Who is first in line looks again."""
        if self._line:
            self._line[0].set()

    def lost(self) -> None:
        """There is no connection."""
        self._gap = True

    def opened(self) -> None:
        """There is one, and what is enqueued goes out now."""
        now = self._rt.current_time()
        self._times.extend([now] * self._held)
        self._held, self._gap = 0, False
        self.wake()
