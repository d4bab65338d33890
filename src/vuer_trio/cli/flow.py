"""What is known about the events of each type that have arrived."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .rates import OTHERS

__all__ = ["Flow", "Flows"]

#: types; a server may use a new one for each event
_MOST = 1000
#: turns whose counts are kept, and of these those that a rate is of
_HISTORY, _RATE = 200, 6
#: the share of a new interval in the average, as in RFC 3550 §6.4.1
_SHARE = 1 / 16
#: an interval that is so many times as long as usual is a gap; and seconds that what comes in
#: bursts, at no interval at all, is taken to be apart
_GAP, _SHORT = 3.0, 0.01
#: events before gaps are counted
_KNOWN = 8


class Flow:
    """The events of one type. Times are in seconds, of any clock."""

    def __init__(self) -> None:
        self.count: int = 0
        self.bytes: int = 0
        self.last: float = 0.0
        #: how much an interval differs from the one before, on average
        self.jitter: float = 0.0
        #: intervals of more than three times the usual length
        self.gaps: int = 0
        self._interval = 0.0  # on average
        self._before = 0.0  # the latest interval
        self._events_now = self._bytes_now = 0  # in the current turn
        self._turns: deque[tuple[float, int, int]] = deque(maxlen=_HISTORY)

    def add(self, size: int, now: float) -> None:
        """One event."""
        if self.count:
            self._measure(now - self.last)
        self.count += 1
        self.bytes += size
        self.last = now
        self._events_now += 1
        self._bytes_now += size

    def _measure(self, interval: float) -> None:
        if self.count == 1:
            self._interval = self._before = interval
            return
        long = _GAP * max(self._interval, _SHORT)
        self.gaps += self.count >= _KNOWN and interval > long
        self.jitter += (abs(interval - self._before) - self.jitter) * _SHARE
        # A gap counts as little as a long interval: it is not the usual one.
        self._interval += (min(interval, long) - self._interval) * _SHARE
        self._before = interval

    def turn(self, elapsed: float) -> None:
        """A turn of ``elapsed`` seconds is over."""
        self._turns.append((elapsed, self._events_now, self._bytes_now))
        self._events_now = self._bytes_now = 0

    @property
    def history(self) -> list[float]:
        """Events of each turn, the oldest first."""
        return [float(events) for _, events, _ in self._turns]

    @property
    def rate(self) -> float:
        """Events a second, of the last turns."""
        return self._per_second(1)

    @property
    def bytes_rate(self) -> float:
        """Bytes a second, of the last turns."""
        return self._per_second(2)

    def _per_second(self, which: int) -> float:
        last = list(self._turns)[-_RATE:]
        elapsed = sum(turn[0] for turn in last)
        return sum(turn[which] for turn in last) / elapsed if elapsed > 0 else 0.0


class Flows:
    """The events of all types, up to a limit."""

    def __init__(self) -> None:
        self._flows: dict[str, Flow] = {}

    def __len__(self) -> int:
        return len(self._flows)

    def __iter__(self) -> Iterator[tuple[str, Flow]]:
        """The busiest first."""
        return iter(sorted(self._flows.items(), key=lambda item: (-item[1].rate, item[0])))

    def add(self, etype: str, size: int, now: float) -> None:
        """One event."""
        flow = self._flows.get(etype)
        if flow is None:
            if len(self._flows) >= _MOST:
                etype = OTHERS
            flow = self._flows.setdefault(etype, Flow())
        flow.add(size, now)

    def turn(self, elapsed: float) -> None:
        """A turn is over."""
        for flow in self._flows.values():
            flow.turn(elapsed)
