"""When to take the next message for a line: while the one before it is about to leave it.

A line has a queue of its own, before its narrowest place, and what lies there grows old and cannot
be replaced. So a ping goes behind each message that takes time, and from the pongs are known

- the shortest round trip: of a ping that found nothing on its way,
- the rate: the bytes between two pings, by the time between their pongs, or since they began where
  the line was idle,
- and so when the pong of each message is due.

Times are those of pongs: what is written to an idle line now is answered a round trip from now. The
next message may go when it will find but a little of those before it on the line, which is never
idle for want of it, however long the round trip is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .._interrupts import protected_methods
from .._websocket.transport import Ping

__all__ = ["InFlight", "SendWindow"]

#: how much may be on its way: what the line needs, without a bound, or bytes
InFlight: TypeAlias = Literal["auto"] | int | None

#: bytes; what is smaller takes no time worth a ping
_NOTABLE = 16_384
#: seconds on the line; of messages that take less, one in `_SELDOM` seconds is asked for
_BRIEF, _SELDOM = 0.001, 0.1
#: pings on their way, and those before the first pong: a peer may answer none
_MOST, _FIRST = 256, 8
#: seconds that a pong may be late for the peer's sake, which may have been busy while all that was
#: sent came in: no reason to let the line run dry
_GRACE = 0.2
#: and after which nothing waits until one comes
_PATIENCE = 1.0
#: seconds after which the round trip is measured again as soon as nothing is on its way
_STALE = 1.0
#: and after which nothing more goes until then, as the way may have become a longer one: if the
#: latest was about as short as the one before, or shorter, and if not, as the peer may have been
#: busy; each time costs the line a round trip, which is to be no more than a hundredth of the time
_SURE, _UNSURE, _SELDOM_ENOUGH = 30.0, 5.0, 100
_ABOUT = 1.25
#: samples of which the rate is the mean: few, of a line that has become faster; else more
_FEW, _MANY = 3, 8
#: seconds that they are to have taken, or more count: pongs that come together, of a peer that was
#: busy, took none; and samples that are kept
_APART, _KEPT = 0.02, 32
#: seconds; what the line is to have left when the next message reaches it, at least
_AHEAD = 0.005
#: seconds of one pong's error that count: of a peer that was busy for once, more is an accident
_LIKELY = 0.05


@dataclass(slots=True)
class _Mark:
    """A ping on its way, with the bytes before it, up to the one before."""

    size: int
    begun: float
    #: when its pong is expected
    due: float


@protected_methods
class SendWindow:
    """Sync, and knows no clock. `begin` at each write, `ponged` at each pong, `opens_at` before
    the next write."""

    __slots__ = (
        "_error",
        "_expires",
        "_limit",
        "_marks",
        "_ponged_at",
        "_rate",
        "_rtt_at",
        "_samples",
        "_skips",
        "rtt",
    )

    @staticmethod
    def of(in_flight: InFlight) -> SendWindow | None:
        """A new one, if there is to be one."""
        return None if in_flight is None else SendWindow(None if in_flight == "auto" else in_flight)

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._marks: dict[bytes, _Mark] = {}  # in order
        self._ponged_at = -math.inf
        #: seconds of the shortest round trip
        self.rtt: float = math.inf
        self._rtt_at = -math.inf  # when it was asked for
        self._samples: deque[tuple[int, float]] = deque(maxlen=_KEPT)  # bytes, seconds
        self._rate = math.inf  # bytes a second
        self._expires = math.inf  # when it is to be measured again at once
        self._skips = False  # whether the peer does not answer each ping
        self._error = 0.0  # seconds that a pong comes too late or too early, smoothed

    # ---- what is asked

    def begin(
        self, size: int, now: float, new_key: Callable[[], bytes]
    ) -> tuple[Sequence[Ping], Sequence[Ping]]:
        """About ``size`` bytes that are about to be written: the pings before and behind them."""
        if not self._is_worth_a_ping(size, now):
            return (), ()
        before: Sequence[Ping] = ()
        if not self._marks and now > self._rtt_at + _STALE:
            before = (Ping(new_key()),)
            self._rtt_at, self._expires = now, math.inf
            self._marks[bytes(before[0])] = _Mark(0, now, now)
        behind = Ping(new_key())
        self._marks[bytes(behind)] = _Mark(size, now, 0.0)
        self._predict()
        return before, (behind,)

    def _is_worth_a_ping(self, size: int, now: float) -> bool:
        if size < _NOTABLE:
            return False
        if self._marks:
            return len(self._marks) < (_MOST if self._samples else _FIRST)
        is_brief = self._limit is None and size < self._rate * _BRIEF
        return not is_brief or now >= self._ponged_at + _SELDOM

    def ponged(self, key: bytes, now: float) -> bool:
        """A pong came; whether it is one of these. It answers those before it, too."""
        marks = self._marks
        if key not in marks:
            return False
        size, begun, answered = 0, math.inf, 0
        while key in marks:
            mark = marks.pop(next(iter(marks)))
            answered += 1
            size += mark.size
            begun = min(begun, mark.begun)
        if size == 0:  # it found nothing on its way
            rtt = now - begun
            sure = rtt < self.rtt * _ABOUT and self.rtt < math.inf
            self.rtt = rtt
            self._expires = now + max(_SURE if sure else _UNSURE, _SELDOM_ENOUGH * rtt)
        else:
            self.rtt = min(self.rtt, now - begun)
            self._samples.append((size, max(0.0, now - max(self._ponged_at, begun + self.rtt))))
            if self._rate < math.inf:
                self._error += (min(abs(now - mark.due), _LIKELY) - self._error) / 8
            self._rate = max(self._mean(_FEW), self._mean(_MANY))
        self._ponged_at = now
        self._skips = answered > 1
        self._predict()
        return True

    def _mean(self, count: int) -> float:
        size, seconds = 0, 0.0
        for number, (more, took) in enumerate(reversed(self._samples)):
            if number >= count and seconds >= _APART:
                break
            size, seconds = size + more, seconds + took
        return size / seconds if seconds > 0 else math.inf

    def _predict(self) -> None:
        due = self._ponged_at
        for mark in self._marks.values():
            due = mark.due = max(due, mark.begun + self.rtt) + mark.size / self._rate

    # ---- what is told

    def most(self, limit: int) -> int:
        """Bytes to take at once, up to ``limit``: what is taken cannot be replaced."""
        return int(min(limit, max(_NOTABLE, self._rate * _AHEAD)))

    def opens_at(self, now: float) -> float | None:
        """When the next message may be taken, if no pong comes before; None for at once."""
        marks = self._marks
        if not marks or len(self._samples) < _FEW:
            return None
        first, last = next(iter(marks.values())), next(reversed(marks.values()))
        late = max(first.due, self._ponged_at) + _PATIENCE
        if late <= now:
            return None
        if self._limit is not None:
            return late if sum(mark.size for mark in marks.values()) >= self._limit else None
        if self._expires < now and not self._skips:  # else the last one may never be answered
            return late
        at = last.due - self.rtt - _AHEAD - 2 * self._error
        behind = now - first.due  # as all behind the first will be, if it is the line's doing
        if behind <= _GRACE or self._skips:
            return min(at, late) if at > now else None
        return late if at + behind > now else None
