"""A limit for log lines that a peer can cause, so that it cannot flood the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

__all__ = ["LogLimit"]

#: lines at once, and lines per second after that
_BURST, _RATE = 20, 1.0


class LogLimit:
    """Limits one kind of line. Skipped lines are counted; the count is logged with the next."""

    __slots__ = ("_at", "_clock", "_left", "_left_out", "_log", "_what")

    def __init__(
        self, log: logging.Logger, what: str, clock: Callable[[], float] = monotonic
    ) -> None:
        self._log = log
        self._what = what
        self._clock = clock
        self._at = clock()
        self._left = float(_BURST)
        self._left_out = 0

    def admits(self) -> bool:
        """Whether to log another line now."""
        now = self._clock()
        self._left = min(_BURST, self._left + (now - self._at) * _RATE)
        self._at = now
        if self._left < 1:
            self._left_out += 1
            return False
        self._left -= 1
        if self._left_out:
            left_out, self._left_out = self._left_out, 0
            self._log.error("%d more %s were not logged", left_out, self._what)
        return True
