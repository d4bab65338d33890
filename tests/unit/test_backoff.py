"""When to dial again: the delays themselves."""

from __future__ import annotations

import math
import random

import pytest

from vuer_trio import Backoff
from vuer_trio._connection.backoff import Delays


def failures(backoff, count):
    delays = Delays(backoff)
    return [delays.after_failure() for _ in range(count)]


def test_the_defaults_are_those_of_the_document():
    assert Backoff() == Backoff(0.5, 30.0, None, 0.1, False, False)


def test_delays_double_up_to_the_maximum():
    assert failures(Backoff(jitter=0), 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_an_initial_delay_that_is_the_maximum_stays():
    assert failures(Backoff(2, 2, jitter=0), 3) == [2, 2, 2]


def test_jitter_is_a_share_to_both_sides_and_does_not_add_up():
    random.seed(1)
    backoff = Backoff(1, 16, jitter=0.25)
    shares = []
    for _ in range(200):
        for delay, plain in zip(failures(backoff, 6), [1, 2, 4, 8, 16, 16], strict=True):
            assert 0.75 * plain <= delay <= 1.25 * plain
            shares.append(delay / plain)
    assert min(shares) < 0.8
    assert max(shares) > 1.2


def test_attempts_are_failed_dials_in_a_row():
    assert failures(Backoff(1, 8, attempts=3, jitter=0), 3) == [1, 2, None]
    assert failures(Backoff(attempts=1), 1) == [None]


def test_a_dial_that_succeeded_ends_the_row_but_not_the_growth():
    delays = Delays(Backoff(1, 64, attempts=3, jitter=0))
    assert [delays.after_failure(), delays.after_failure()] == [1, 2]
    assert delays.after_link(0) == 4
    assert [delays.after_failure(), delays.after_failure()] == [8, 16]
    assert delays.after_failure() is None


@pytest.mark.parametrize(("lived", "delay"), [(0, 4), (7.9, 4), (8, 4), (8.1, 1), (1e6, 1)])
def test_the_delay_starts_anew_after_a_link_that_lived_longer_than_the_maximum(lived, delay):
    delays = Delays(Backoff(1, 8, jitter=0))
    delays.after_link(0)
    delays.after_link(0)
    assert delays.after_link(lived) == delay
    assert delays.after_failure() == 2 * delay


@pytest.mark.parametrize(
    "wrong",
    [
        {"initial": 0},
        {"initial": -1},
        {"initial": 31},
        {"initial": math.nan},
        {"maximum": math.inf},
        {"maximum": math.nan},
        {"jitter": -0.1},
        {"jitter": 1},
        {"jitter": math.nan},
        {"attempts": 0},
        {"attempts": -1},
    ],
    ids=str,
)
def test_what_can_not_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Backoff(**wrong)
