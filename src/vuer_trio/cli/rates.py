"""Counts and rates of event types."""

from __future__ import annotations

from collections import Counter, deque

__all__ = ["OTHERS", "Rates"]

#: stands for all types beyond `_MOST`, because a peer may use a new type for each event
OTHERS = "(others)"
_MOST = 1000
#: the period of current rates in seconds
_WINDOW = 3.0


class Rates:
    """Counts event types. Times are in seconds, of any clock."""

    def __init__(self, now: float) -> None:
        self.began = now
        self.counts: Counter[str] = Counter()
        self._before: deque[tuple[float, Counter[str]]] = deque([(now, Counter())])

    def add(self, etype: str) -> None:
        """Count one event."""
        if etype not in self.counts and len(self.counts) >= _MOST:
            etype = OTHERS
        self.counts[etype] += 1

    def now(self, now: float) -> dict[str, float]:
        """Events per second of each type, over about the last three seconds.

        It must be called a few times per second: it compares with earlier calls.
        """
        while len(self._before) > 1 and self._before[1][0] <= now - _WINDOW:
            self._before.popleft()
        then, counts = self._before[0]
        self._before.append((now, self.counts.copy()))
        elapsed = now - then
        if elapsed <= 0:
            return dict.fromkeys(self.counts, 0.0)
        return {etype: (n - counts[etype]) / elapsed for etype, n in self.counts.items()}

    def summary(self, now: float) -> list[str]:
        """The lines of a summary: the total, then each type, the most frequent first."""
        elapsed = max(now - self.began, 1e-9)
        total = self.counts.total()
        lines = [f"{total:,} event{'' if total == 1 else 's'} in {elapsed:.1f} s"]
        rows = [(etype, f"{n:,}", f"{n / elapsed:.1f}/s") for etype, n in self.counts.most_common()]
        widths = [max((len(row[k]) for row in rows), default=0) for k in range(3)]
        for etype, n, rate in rows:
            lines.append(f"  {etype:<{widths[0]}}  {n:>{widths[1]}}  {rate:>{widths[2]}}")
        return lines
