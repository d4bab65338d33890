"""What `vuer-trio top` computes of events, and how it draws a row of numbers."""

from __future__ import annotations

import io
import sys

import pytest

from vuer_trio.cli.flow import Flow, Flows
from vuer_trio.cli.rates import OTHERS
from vuer_trio.cli.sparkline import sparkline


def test_rates_are_those_of_the_last_turns():
    flow = Flow()
    now = 0.0
    for turn in range(20):
        for _ in range(5 if turn < 10 else 10):
            now += 0.01
            flow.add(100, now)
        flow.turn(0.5)
    assert flow.rate == pytest.approx(20)
    assert flow.bytes_rate == pytest.approx(2000)
    assert (flow.count, flow.bytes) == (150, 15_000)
    assert flow.history == [5.0] * 10 + [10.0] * 10
    for _ in range(300):
        flow.turn(0.5)
    assert flow.rate == 0
    assert len(flow.history) == 200


def test_what_is_regular_has_no_jitter_and_what_is_missing_is_a_gap():
    flow = Flow()
    for n in range(100):
        if n not in (50, 51, 52):  # 0.4 s instead of 0.1 s
            flow.add(1, n / 10)
    assert flow.gaps == 1
    assert 0 < flow.jitter < 0.03
    regular = Flow()
    for n in range(100):
        regular.add(1, n / 8)
    assert regular.jitter == 0
    assert regular.gaps == 0
    assert regular.last == 99 / 8


def test_a_burst_at_the_beginning_is_not_what_is_usual():
    flow = Flow()
    for _ in range(50):
        flow.add(1, 0.0)
    for n in range(100):
        flow.add(1, n / 50)
    assert flow.gaps < 5


def test_types_are_bounded():
    flows = Flows()
    for n in range(2000):
        flows.add(f"E{n}", 1, float(n))
    flows.add("E5", 1, 2000.0)
    assert len(flows) == 1001
    found = dict(flows)
    assert found[OTHERS].count == 1000
    assert found["E5"].count == 2


def test_the_busiest_comes_first():
    flows = Flows()
    for etype, count in (("B", 1), ("A", 1), ("C", 3)):
        for _ in range(count):
            flows.add(etype, 1, 0.0)
    flows.turn(1.0)
    assert [etype for etype, _ in flows] == ["C", "A", "B"]


def test_a_sparkline():
    assert sparkline([0, 1, 4, 8, 0.01], 10) == " ▁▄█▁"
    assert sparkline(range(20), 4) == "▇▇██"
    assert sparkline([0, 0], 5) == "  "
    assert sparkline([], 5) == ""
    assert sparkline([1, 2], 0) == ""


def test_a_sparkline_in_ascii(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert sparkline([0, 8], 5) == " #"
