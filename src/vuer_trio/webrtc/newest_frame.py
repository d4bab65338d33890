"""The newest frame of a stream, for its viewers: any thread may push, and any may take.

A frame that is replaced before a viewer was ready for it is dropped, and counted. A viewer is
therefore never behind by more than the frame that it is encoding, however slow its encoder is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from .statistics import StreamStatistics

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["NewestFrame", "Numbered", "Tap"]

Wake = Callable[[], object]


class Numbered(NamedTuple):
    """A frame, its place among all, from 1 on, and when it was pushed (`time.monotonic`)."""

    pixels: npt.NDArray[np.uint8]
    number: int
    pushed: float


class Tap:
    """One viewer's end. ``wake()`` is called, in the pushing thread, when there is a frame for one
    that has found none."""

    def __init__(self, frames: NewestFrame, wake: Wake, last: int) -> None:
        self._frames = frames
        self.wake: Wake = wake
        #: the number of the frame that it took last; of those before it came, none counts
        self.last: int = last
        #: whether it has found nothing new
        self.waits: bool = False

    def take(self) -> Numbered | None:
        """The newest frame, if it has not been taken."""
        return self._frames.take(self)

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._frames.leave(self)


class NewestFrame:
    """What is pushed, and what becomes of it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._newest: Numbered | None = None
        self._taps: dict[Tap, None] = {}
        self._senders: dict[Wake, int] = {}  # and the number of the frame that each waits for
        self._missing = self._unwatched = self._encoded = self._dropped = 0
        self._taken = 0  # the largest number of a frame that somebody took
        self._waited: float | None = None

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._taps)

    def push(self, pixels: npt.NDArray[np.uint8], wake: Wake | None = None) -> int:
        """Replace the newest frame. Returns its number. ``wake`` is called once somebody has taken
        it, a newer one has replaced it, or nobody is left to take it."""
        with self._lock:
            number = self._count + 1
            self._newest = Numbered(pixels, number, time.monotonic())
            if not self._taps:
                self._unwatched += 1
            woken = [tap.wake for tap in self._taps if tap.waits]
            for tap in self._taps:
                tap.waits = False
            woken += self._senders  # theirs are replaced
            self._senders.clear()
            if wake is not None:
                self._senders[wake] = number
        _call(woken)
        return number

    def miss(self) -> None:
        """Count a frame that was missing."""
        with self._lock:
            self._missing += 1

    def forget(self, wake: Wake) -> None:
        """The caller that pushed it no longer waits."""
        with self._lock:
            self._senders.pop(wake, None)

    def has_taken(self, number: int) -> bool:
        """Whether anybody took that frame, or a newer one."""
        return self._taken >= number

    def watch(self, wake: Wake) -> Tap:
        """Begin to watch, with the newest frame that there is."""
        with self._lock:
            tap = Tap(self, wake, max(0, self._count - 1))
            self._taps[tap] = None
        return tap

    def take(self, tap: Tap) -> Numbered | None:
        """As `Tap.take`."""
        with self._lock:
            newest = self._newest
            tap.waits = newest is None or newest.number == tap.last
            if newest is None or tap.waits or tap not in self._taps:
                return None
            self._dropped += newest.number - tap.last - 1
            self._encoded += 1
            self._waited = time.monotonic() - newest.pushed
            self._taken = max(self._taken, newest.number)
            tap.last = newest.number
            woken = list(self._senders)
            self._senders.clear()
        _call(woken)
        return newest

    def leave(self, tap: Tap) -> None:
        """As `Tap.close`."""
        with self._lock:
            self._taps.pop(tap, None)
            woken = [] if self._taps else list(self._senders)
            if woken:
                self._senders.clear()
        _call(woken)

    def statistics(self) -> StreamStatistics:
        """As they are now."""
        with self._lock:
            return StreamStatistics(
                self._count,
                self._missing,
                self._unwatched,
                self._encoded,
                self._dropped,
                len(self._taps),
                self._waited,
            )

    @property
    def newest(self) -> Numbered | None:
        """The frame that was pushed last."""
        return self._newest

    @property
    def _count(self) -> int:
        return 0 if self._newest is None else self._newest.number


def _call(woken: list[Wake]) -> None:
    """Outside of the lock: they belong to others."""
    for wake in woken:
        wake()
