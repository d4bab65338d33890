"""How many events of each type, and how many a second."""

from __future__ import annotations

from collections import Counter, deque

__all__ = ["OTHERS", "Rates"]

#: stands for all types beyond `_MOST`: a peer may make up a new one for each event
OTHERS = "(others)"
_MOST = 1000
#: seconds that a current rate looks back
_WINDOW = 3.0


class Rates:
    """Counts of event types. Times are seconds of any one clock."""

    def __init__(self, now: float) -> None:
        self.began = now
        self.counts: Counter[str] = Counter()
        self._before: deque[tuple[float, Counter[str]]] = deque([(now, Counter())])

    def add(self, etype: str) -> None:
        """One more."""
        if etype not in self.counts and len(self.counts) >= _MOST:
            etype = OTHERS
        self.counts[etype] += 1

    def now(self, now: float) -> dict[str, float]:
        """Events a second of each type, over about the last three seconds.

        To be called a few times a second: what it looks back to is what it saw then.
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
        """Lines for the end: the total, then each type, the most frequent first."""
        elapsed = max(now - self.began, 1e-9)
        total = self.counts.total()
        lines = [f"{total:,} event{'' if total == 1 else 's'} in {elapsed:.1f} s"]
        rows = [(etype, f"{n:,}", f"{n / elapsed:.1f}/s") for etype, n in self.counts.most_common()]
        widths = [max((len(row[k]) for row in rows), default=0) for k in range(3)]
        for etype, n, rate in rows:
            lines.append(f"  {etype:<{widths[0]}}  {n:>{widths[1]}}  {rate:>{widths[2]}}")
        return lines
