"""How much a reader does before the others run: about a millisecond, however small a frame is.

Bytes tell nothing of it. Sixty-four kilobytes are one image, which takes microseconds, or ten
thousand pings, which take a third of a second; and of a message it depends on who gets it what it
costs. So the reader works in steps of some frames, and looks at the clock between two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

__all__ = ["WAKE", "ReadBudget"]

#: seconds; of one wake. Eight connections that are always busy make one that is not 8 ms late
WAKE = 0.001
#: seconds; a step that takes longer was too large, one that takes less than the half too small
_STEP = 0.0002
#: frames of a step: at the beginning, and at most, so that no cheap frames prepare for dear ones
_FIRST, _MOST = 16, 64


class ReadBudget:
    """Of one reader. `begin` when it wakes, then `spent` after each step of `step` frames."""

    __slots__ = ("_began", "_clock", "_due", "step")

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._began = self._due = 0.0
        #: frames until the clock is to be looked at
        self.step = _FIRST

    def begin(self) -> None:
        """The reader has been woken."""
        self._began = self._clock()
        self._due = self._began + WAKE

    def spent(self) -> bool:
        """A whole step is over; whether the others are to run now."""
        now = self._clock()
        took, self._began = now - self._began, now
        if took > _STEP:
            self.step = max(1, int(self.step * _STEP / took))
        elif took < _STEP / 2 and self.step < _MOST:
            self.step <<= 1
        return now >= self._due
