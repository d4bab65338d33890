"""When the next message goes to a slow line: by pongs, on a clock that is set by hand."""

from __future__ import annotations

import itertools
from collections import deque

import pytest

from vuer_trio._connection.send_window import SendWindow
from vuer_trio._websocket.transport import Ping

KB = 1000
#: bytes of an image, and bytes a second of 20 Mbit/s
SIZE, RATE = 100 * KB, 2_500 * KB


class Line:
    """A line with a queue of its own, of a second, and a peer that answers what has come to it."""

    def __init__(self, rate=RATE, rtt=0.0, window=None):
        self.window = SendWindow() if window is None else window
        self.rate, self.rtt = rate, rtt
        self.now = self.free_at = 100.0
        self.idle = 0.0  # seconds, between the first message and the last
        self.waits: list[float] = []  # seconds that each message waits in the line
        self.late = 0.0  # of each pong that comes now
        self.answers = lambda key: True
        self.asked: list[bytes] = []
        self._pongs: deque[tuple[float, bytes]] = deque()
        self._keys = itertools.count()

    def send(self, size=SIZE):
        before, behind = self.window.begin(size, self.now, lambda: b"%d" % next(self._keys))
        self._ask(before)
        self.waits.append(max(0.0, self.free_at - self.now))
        if len(self.waits) > 1:
            self.idle += max(0.0, self.now - self.free_at)
        self.free_at = max(self.free_at, self.now) + size / self.rate
        self._ask(behind)

    def _ask(self, pings):
        for ping in pings:
            assert type(ping) is Ping
            self.asked.append(bytes(ping))
            if self.answers(bytes(ping)):
                self._pongs.append((max(self.free_at, self.now) + self.rtt + self.late, ping))

    def step(self):
        """Until the window opens, or a pong; whether it is open."""
        opens_at = self.window.opens_at(self.now)
        if opens_at is None:
            return True
        assert opens_at > self.now
        if self._pongs and self._pongs[0][0] <= opens_at:
            at, key = self._pongs.popleft()
            self.now = max(self.now, at)
            assert self.window.ponged(key, self.now)
        else:
            self.now = opens_at
        return False

    def hear(self):
        """All pongs that have come by now."""
        while self._pongs and self._pongs[0][0] <= self.now:
            at, key = self._pongs.popleft()
            self.window.ponged(key, at)

    def saturate(self, seconds, size=SIZE):
        """Send as much as the window lets through; messages sent."""
        end, count = self.now + seconds, 0
        while self.now < end:
            self.hear()
            if self.step():
                self.send(size)
                count += 1
                self.now = max(self.now + 0.0001, self.free_at - 1.0)  # then it is full
        return count

    def afresh(self):
        self.idle, self.waits = 0.0, []


def settled(**options):
    line = Line(**options)
    line.saturate(8.0)
    line.afresh()
    return line


@pytest.mark.parametrize("rtt", [0, 0.002, 0.01, 0.06, 0.15])
@pytest.mark.parametrize("mbit", [5, 20, 100])
def test_a_message_waits_for_a_little_of_the_one_before_and_the_line_is_never_idle(rtt, mbit):
    line = settled(rtt=rtt, rate=mbit * 125_000)
    seconds = 6.0
    count = line.saturate(seconds)
    assert count >= seconds * line.rate / SIZE - 2
    assert line.idle == 0
    assert max(line.waits) < 0.012


@pytest.mark.parametrize("rtt", [0.03, 0.06, 0.15, 0.4, 1.0])
def test_measuring_the_way_costs_no_more_than_a_hundredth(rtt):
    line = Line(rtt=rtt)
    line.saturate(100 * rtt + 1)
    line.afresh()
    line.saturate(300.0)
    assert 0 < line.idle < 3.0 + rtt


def test_the_way_is_measured_again_and_costs_one_round_trip_in_thirty_seconds():
    line = settled(rtt=0.15)
    line.saturate(120.0)
    assert 0.15 * 3 < line.idle < 0.15 * 4.5
    for rtt in (0.01, 0.3):
        line.rtt = rtt
        line.saturate(40.0)
        line.afresh()
        line.saturate(20.0)
        assert line.idle < rtt * 1.5
        assert max(line.waits) < 0.012


@pytest.mark.parametrize("rtt", [0, 0.06])
@pytest.mark.parametrize("factor", [0.2, 5])
def test_a_line_that_changes_is_followed_within_thirty_messages(rtt, factor):
    line = settled(rtt=rtt)
    line.rate *= factor
    line.saturate(30 * SIZE / line.rate)
    line.afresh()
    line.saturate(5.0)
    assert line.idle < 0.07  # once measured again
    assert max(line.waits) < 0.05
    assert sorted(line.waits)[len(line.waits) // 2] < 0.015


def test_pongs_that_come_early_and_late_let_the_line_have_more_and_no_idle_time():
    line = Line(rtt=0.03)
    late = itertools.cycle([0, 0.01, 0.004, 0.02, 0.007])

    def answers(key):
        line.late = next(late)
        return True

    line.answers = answers
    line.saturate(3.0)
    line.afresh()
    line.saturate(6.0)
    assert line.idle < 0.06  # a hundredth
    assert sorted(line.waits)[len(line.waits) // 2] < 0.05


def test_a_peer_that_answers_one_ping_in_three_has_answered_those_before():
    """RFC 6455 §5.5.3."""
    line = Line(rtt=0.06)
    line.answers = lambda key: int(key) % 3 == 0
    line.saturate(3.0)
    line.afresh()
    count = line.saturate(60.0)
    assert count >= 60.0 * RATE / SIZE * 0.99
    assert max(line.waits) < 0.2


def test_a_peer_that_never_answers_waits_for_nothing_and_is_asked_eight_times():
    line = Line()
    line.answers = lambda key: False
    for _ in range(1000):
        assert line.window.opens_at(line.now) is None
        line.send()
    assert len(line.asked) <= 9


def test_a_peer_that_stops_to_answer_is_waited_for_once_and_heard_again():
    line = settled()
    line.answers = lambda key: False
    began = line.now
    while line.window.opens_at(line.now) is not None or line.now < began + 1:
        if line.step():
            line.send()
    assert began + 1 <= line.now < began + 1.3
    asked = len(line.asked)
    for _ in range(1000):
        assert line.window.opens_at(line.now) is None
        line.send()
    assert len(line.asked) - asked <= 256
    line.free_at = line.now
    assert line.window.ponged(line.asked[-1], line.now)
    line.answers = lambda key: True
    line.saturate(3.0)
    line.afresh()
    line.saturate(3.0)
    assert (line.idle, max(line.waits) < 0.02) == (0, True)


def test_what_is_small_is_not_asked_for_and_what_is_brief_seldom():
    line = Line(rate=1000 * RATE)
    for _ in range(100):
        line.send(16_383)
    assert line.asked == []
    for _ in range(10_000):
        line.hear()
        assert line.window.opens_at(line.now) is None
        line.send(16_384)
        line.now += 0.001
    assert 90 <= len(line.asked) <= 130  # in ten seconds


def test_what_others_asked_is_none_of_its_business():
    line = Line()
    line.send()
    assert not line.window.ponged(b"x", line.now)
    assert not line.window.ponged(b"", line.now)
    (first, *_) = line.asked
    assert line.window.ponged(first, line.now)
    assert not line.window.ponged(first, line.now)


def test_a_number_of_bytes_is_kept_to():
    line = Line(rtt=0.06, window=SendWindow(100 * KB))
    line.saturate(3.0)
    line.afresh()
    assert 59 <= line.saturate(6.0) <= 61  # one at a time, each 40 ms and a round trip
    assert max(line.waits) == 0
    line = Line(rtt=0.06, window=SendWindow(250 * KB))
    line.saturate(3.0)
    assert 149 <= line.saturate(6.0) <= 151
    line.answers = lambda key: False
    began = line.now
    while line.now < began + 1.5:
        if line.step():
            line.send()
            line.now += 0.001
    assert line.window.opens_at(line.now) is None


def test_there_is_one_or_there_is_none():
    assert SendWindow.of(None) is None
    assert isinstance(SendWindow.of("auto"), SendWindow)
    assert isinstance(SendWindow.of(100), SendWindow)


def test_less_is_taken_at_once_from_a_slow_line():
    line = Line()
    assert line.window.most(524_288) == 524_288
    line.saturate(3.0)
    assert line.window.most(524_288) == 16_384
    assert line.window.most(1000) == 1000
    fast = settled(rate=RATE * 20)
    assert 200 * KB < fast.window.most(524_288) < 300 * KB
