"""What servers share against strangers: places, visits, turns, in virtual time."""

from __future__ import annotations

import math

import pytest
import trio
import trio.lowlevel

from vuer_trio._hosting.places import NoPlace, Places, network, quarter
from vuer_trio._hosting.turns import Turns
from vuer_trio._hosting.visits import Visits
from vuer_trio._runtime import runtime

pytestmark = pytest.mark.trio


@pytest.mark.parametrize(
    ("host", "where"),
    [
        (None, None),
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("/run/a.sock", None),
        ("192.168.1.5", "192.168.1.5"),
        ("::ffff:192.168.1.5", "192.168.1.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        # all of one link have the same 64 bits
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
async def test_what_an_address_counts_as(host, where):
    assert network(host) == where


async def test_a_quarter_is_never_nothing():
    assert [quarter(n) for n in (1, 4, 5, 1000)] == [1, 1, 2, 250]


async def test_newcomers_give_way_the_oldest_first():
    places = Places(runtime(), 3, 3)
    assert [places.enter(n, None) for n in range(3)] == [None, None, None]
    places.settle(0)
    assert places.enter(3, None) == 1
    assert places.enter(4, None) == 2
    assert list(places) == [0, 3, 4]
    for n in (3, 4):
        places.settle(n)
    with pytest.raises(NoPlace, match="all of the 3 places are taken"):
        places.enter(5, None)
    places.leave(3)
    places.leave(3)
    assert places.enter(5, None) is None
    assert len(places) == 3


async def test_one_address_has_its_share():
    places = Places(runtime(), 10, 2)
    for n in range(2):
        assert places.enter(n, "10.0.0.1") is None
    assert places.enter("neighbour", "10.0.0.2") is None
    # of its own it is that gives way, and not the neighbour
    assert places.enter(2, "10.0.0.1") == 0
    for n in (1, 2):
        places.settle(n)
    with pytest.raises(NoPlace, match=r"10\.0\.0\.1 has all of its 2 places"):
        places.enter(3, "10.0.0.1")
    for n in range(7):
        assert places.enter(f"local{n}", "127.0.0.1") is None
    assert places.enter("more", "127.0.0.1") == "neighbour"
    for n in (1, 2):
        places.leave(n)
    assert places.enter(4, "10.0.0.1") is None
    for who in places:
        places.leave(who)
    assert places._counts == {}


async def test_an_ipv6_network_has_one_share():
    places = Places(runtime(), 10, 1)
    assert places.enter(1, "2001:db8::1") is None
    places.settle(1)
    with pytest.raises(NoPlace):
        places.enter(2, "2001:db8::ffff:2")
    assert places.enter(3, "2001:db8:0:1::1") is None


async def test_who_stays_a_newcomer_is_told_when_the_time_is_over(autojump_clock):
    places, ended, began = Places(runtime(), 10, 10), [], trio.current_time()

    def end(who):
        ended.append((who, trio.current_time() - began))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(places.watch, 10, end)
        await trio.sleep(3)
        places.enter("a", None)
        places.enter("settles", None)
        await trio.sleep(4)
        places.enter("b", None)
        places.settle("settles")
        await trio.sleep(1)
        places.enter("leaves", None)
        places.leave("leaves")
        await trio.sleep(100)
        assert ended == [("a", 13), ("b", 17)]
        assert list(places) == ["a", "settles", "b"]  # until they have gone
        places.enter("c", None)
        await trio.sleep(100)
        assert ended[2:] == [("c", 118)]
        nursery.cancel_scope.cancel()


async def test_without_a_time_there_is_no_end(autojump_clock):
    places = Places(runtime(), 10, 10)
    with trio.move_on_after(1000):
        places.enter("a", None)
        await places.watch(math.inf, pytest.fail)


async def test_the_oldest_visit_is_given_up_for_one_more(autojump_clock):
    visits, over = Visits(runtime(), 3), []

    async def visit(n, seconds=100):
        with visits.visit(50):
            await trio.sleep(seconds)
        over.append((n, trio.current_time() - began))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for n in range(5):
            nursery.start_soon(visit, n)
            await trio.sleep(1)
        assert len(visits) == 3
    assert over == [(0, 3), (1, 4), (2, 52), (3, 53), (4, 54)]
    assert len(visits) == 0


async def test_the_slow_give_way_while_others_wait_and_only_then(autojump_clock):
    turns, log = Turns(runtime(), 2), []
    began = trio.current_time()

    def note(*what):
        log.append((*what, trio.current_time() - began))

    async def work(name, rate, seconds):
        async with turns.turn() as turn:
            note(name, "begins")
            for _ in range(seconds):
                await trio.sleep(1)
                turn.taken += rate
            note(name, "is done")
        if turn.gave_way:
            note(name, "gave way")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work, "slow", 100, 1000)
        await trio.lowlevel.checkpoint()
        nursery.start_soon(work, "fast", 100_000, 60)
        await trio.sleep(40)
        assert len(turns) == 2
        nursery.start_soon(work, "newcomer", 100_000, 3)
        await trio.sleep(10)
        nursery.start_soon(work, "another slow one", 100, 30)
        await trio.sleep(1)
        nursery.start_soon(work, "newcomer 2", 100_000, 3)
    assert [(name, what, round(at)) for name, what, at in log] == [
        ("slow", "begins", 0),
        ("fast", "begins", 0),
        ("slow", "gave way", 40),
        ("newcomer", "begins", 40),
        ("newcomer", "is done", 43),
        ("another slow one", "begins", 50),
        ("another slow one", "gave way", 56),
        ("newcomer 2", "begins", 56),
        ("newcomer 2", "is done", 59),
        ("fast", "is done", 60),
    ]


async def test_nobody_waits_for_a_turn_for_ever_and_the_newest_is_first(autojump_clock):
    turns, given = Turns(runtime(), 1), []

    async def fast(seconds):
        async with turns.turn() as turn:
            turn.taken = 1 << 40
            await trio.sleep(seconds)

    async def wait(n):
        began = trio.current_time()
        async with turns.turn() as turn:
            given.append((n, turn is not None, trio.current_time() - began))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fast, 30.7)
        await trio.sleep(0.5)
        for n in range(3):
            nursery.start_soon(wait, n)
            await trio.sleep(0.5)
    (first, _, waited), *rest = given
    assert (first, given[0][1], round(waited)) == (0, False, 30)
    assert [(n, turn) for n, turn, _ in rest] == [(2, True), (1, True)]
    assert len(turns) == 0


async def test_who_is_cancelled_in_line_or_at_work_leaves_nothing_behind(autojump_clock):
    turns = Turns(runtime(), 1)

    async def take():
        async with turns.turn():
            await trio.sleep_forever()

    for _ in range(3):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(take)
            await trio.sleep(3)
            assert len(turns) == 1
            nursery.cancel_scope.cancel()
        assert len(turns) == 0
        assert turns._line == []
