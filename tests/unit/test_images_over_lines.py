"""Two cameras over a line, with the window and without, in virtual time.

A viewer that is busy now and then answers late, and that is not the line's doing.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import pytest

from vuer_trio._connection.send_window import SendWindow

#: bytes of an image, and images a second of both cameras
SIZE, FRAMES = 100_000, 60
#: seconds that are looked at, from when
BEGIN, END = 4.0, 24.0
#: bytes that the system takes beyond what the line has room for
NOT_SENT = 16_384
#: of a viewer: seconds from one stall to the next, by chance, and of the longest stall
BUSY = {
    "never": None,
    "often": (0.1, 0.02),
    "fairly often": (0.2, 0.06),
    "now and then": (0.5, 0.1),
    "seldom": (2.0, 0.3),
}


class Viewer:
    """What comes while it is busy is seen when it no longer is."""

    def __init__(self, busy: tuple[float, float] | None) -> None:
        self._stalls = iter(()) if busy is None else self._by_chance(*busy)
        self._stall = next(self._stalls, (END, END))

    @staticmethod
    def _by_chance(every: float, longest: float) -> Iterator[tuple[float, float]]:
        chance, end = random.Random(3), 0.0
        while True:
            begin = end + 2 * every * chance.random()
            end = begin + longest * chance.random()
            yield begin, end

    def sees(self, now: float) -> float:
        while self._stall[1] <= now < END:
            self._stall = next(self._stalls, (END, END))
        return max(now, self._stall[1]) if self._stall[0] <= now else now


@dataclass
class Line:
    """``rate`` in Mbit/s, ``queue`` and ``rtt`` in milliseconds."""

    rate: int
    queue: int
    rtt: int

    @property
    def transfer(self) -> float:
        return SIZE / (self.rate * 125_000)


class Show:
    """A server whose outbox keeps the newest image of each camera."""

    def __init__(self, line: Line, viewer: Viewer, window: SendWindow | None) -> None:
        self.ages: list[float] = []
        self._line, self._viewer, self._window = line, viewer, window
        self._waits: dict[int, float] = {}  # camera: since when its newest image waits
        self._free_at = 0.0  # when the line has sent all that it has
        self._writing_until = self._opens_at = 0.0
        self._events: list[tuple[float, int, str, Any]] = []
        self._numbers = itertools.count()
        self._now = 0.0

    def run(self) -> Show:
        self._at(0.0, "frame", 0)
        while self._events[0][0] < END:
            self._now, _, kind, value = heapq.heappop(self._events)
            if kind == "frame":
                self._waits[value % 2] = self._now
                self._at((value + 1) / FRAMES, "frame", value + 1)
            elif kind in ("image", "ping"):
                seen = self._viewer.sees(self._now)
                if seen > self._now:
                    self._at(seen, kind, value)
                elif kind == "ping":
                    self._at(self._now + self._line.rtt / 2000, "pong", value)
                elif self._now >= BEGIN:
                    self.ages.append(self._now - value)
            elif kind == "pong":
                assert self._window is not None
                assert self._window.ponged(value, self._now)
            self._write()
        return self

    def _at(self, when: float, kind: str, value: Any = None) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), kind, value))

    def _write(self) -> None:
        """As `Link` does."""
        while self._waits and self._writing_until <= self._now:
            before, behind = (), ()
            if self._window is not None:
                opens_at = self._window.opens_at(self._now)
                if opens_at is not None:
                    if opens_at != self._opens_at:
                        self._opens_at = opens_at
                        self._at(opens_at, "open")
                    return
                before, behind = self._window.begin(SIZE, self._now, self._new_key)
            self._carry("ping", before)
            taken = self._waits.pop(next(iter(self._waits)))
            self._free_at = max(self._free_at, self._now) + self._line.transfer
            self._carry("image", (taken,))
            self._carry("ping", behind)
            rest = self._line.queue / 1000 + NOT_SENT / (self._line.rate * 125_000)
            self._writing_until = max(self._now, self._free_at - rest)
            self._at(self._writing_until, "written")

    def _carry(self, kind: str, values: Any) -> None:
        for value in values:
            self._at(max(self._free_at, self._now) + self._line.rtt / 2000, kind, value)

    def _new_key(self) -> bytes:
        return b"%d" % next(self._numbers)


@pytest.mark.parametrize("rtt", [0, 10, 60, 150])
@pytest.mark.parametrize("queue", [50, 1000, 2000])
@pytest.mark.parametrize("rate", [5, 20, 100])
def test_as_many_images_as_without_and_fresh_ones(rate, queue, rtt):
    line = Line(rate, queue, rtt)
    for name, busy in BUSY.items():
        with_, without = (
            Show(line, Viewer(busy), window).run().ages for window in (SendWindow(), None)
        )
        # The last one may have come just before the end, or after it.
        assert len(with_) >= 0.98 * len(without) - 1, name
        # Its own transfer, half of the time between two of a camera, a little in the line.
        ideal = line.transfer + rtt / 2000 + 1 / FRAMES
        assert median(with_) < ideal + (0.06 if busy else 0.012), name
        if rate * 125_000 < SIZE * FRAMES:
            assert median(with_) < median(without), name
