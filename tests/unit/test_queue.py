"""The box: room, order, cancellation, and accounts that never drift."""

from __future__ import annotations

import random
from itertools import count

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from vuer_trio import ClientClosed, ConnectionClosed, Fifo
from vuer_trio._connection.queue import Queue
from vuer_trio._runtime import runtime
from vuer_trio._websocket.transport import LARGE, Ping

pytestmark = pytest.mark.trio


def make_box(capacity=3, max_bytes=100, *, has_consumer=True):
    return Queue(runtime(), Fifo(capacity, max_bytes), has_consumer=has_consumer)


def accounts(box):
    return box.count, box.bytes


# ---- room


async def test_there_is_room_while_the_count_is_below_the_capacity():
    box = make_box(capacity=2)
    for _ in range(2):
        assert box.has_room
        assert not box.full
        box.put(b"x")
    assert not box.has_room
    assert box.full


async def test_there_is_room_while_the_bytes_are_below_the_limit_so_one_may_overshoot():
    box = make_box(capacity=10, max_bytes=100)
    box.put(b"x" * 99)
    assert box.has_room
    box.put(b"x" * 1000)
    assert accounts(box) == (2, 1099)
    assert not box.has_room
    assert box.full


async def test_one_item_larger_than_the_whole_box_goes_in():
    box = make_box(max_bytes=10)
    assert box.has_room
    box.put(b"x" * 50)
    assert not box.has_room
    assert box.pop() == b"x" * 50
    assert box.has_room


@pytest.mark.parametrize("limits", [(2, 100), (10, 7)])
async def test_an_offer_is_taken_while_there_is_room(limits):
    box = make_box(*limits)
    for n in range(4):
        room = box.has_room
        assert box.offer(b"xxxx") is room
        assert room == (n < 2)
    assert accounts(box) == (2, 8)
    assert [box.pop(), box.pop()] == [b"xxxx"] * 2
    assert accounts(box) == (0, 0)


async def test_an_offer_wakes_who_waits_for_something_to_take():
    box = make_box()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(box.arrival)
            await wait_all_tasks_blocked()
            assert box.offer(b"x")


async def test_an_offer_does_not_overtake_who_waits_for_room():
    box = make_box(capacity=10, max_bytes=3)
    box.put(b"1234")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.reserve)
        await wait_all_tasks_blocked()
        box.pop()  # does not grant a slot: only a writer that is done does
        assert not box.offer(b"x")
        box.written([])
    assert accounts(box) == (1, 0)


async def test_a_policy_without_room_for_a_message_is_refused():
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        Fifo(0)
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        Fifo(1, 0)


# ---- waiting for room


async def test_slots_are_granted_in_the_order_of_arrival():
    box = make_box(capacity=1)
    box.put(b"0")
    order = []

    async def sender(name):
        await box.reserve()
        order.append(name)
        box.put_reserved([name])

    async with trio.open_nursery() as nursery:
        for name in (b"a", b"b", b"c"):
            nursery.start_soon(sender, name)
            await wait_all_tasks_blocked()
        for expected in ([], [b"a"], [b"a", b"b"], [b"a", b"b", b"c"]):
            assert order == expected
            box.written(box.take(1))
            await wait_all_tasks_blocked()
    assert accounts(box) == (0, 0)


async def test_who_does_not_wait_does_not_overtake_who_waits():
    box = make_box(capacity=1)
    box.put(b"0")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.reserve)
        await wait_all_tasks_blocked()
        batch = box.take(1000)
        assert not box.has_room, "the item is being written"
        box.written(batch)
        assert not box.has_room, "the slot is promised"


@pytest.mark.parametrize("capacity", [1, 2, 3])
async def test_a_slot_that_is_used_is_not_granted_a_second_time(capacity):
    box = make_box(capacity=capacity)
    for _ in range(capacity):
        await box.reserve()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.reserve)
        await wait_all_tasks_blocked()
        box.put_reserved([b"x"])
        assert box.count <= capacity, "who uses a slot has given it to a waiter as well"
        await wait_all_tasks_blocked()
        box.written(box.take(1000))
    assert box.count <= capacity


async def test_bytes_that_are_used_are_not_granted_a_second_time():
    box = make_box(capacity=10, max_bytes=100)
    await box.reserve(100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.reserve, 100)
        await wait_all_tasks_blocked()
        box.put_reserved([b"x" * 100], 100)
        assert box.bytes == 100
        box.written(box.take(1000))
    assert box.bytes == 100


async def test_a_reserved_slot_counts_and_so_do_the_bytes_to_come():
    box = make_box(capacity=2, max_bytes=100)
    await box.reserve(60)
    assert accounts(box) == (1, 60)
    await box.reserve()
    assert accounts(box) == (2, 60)
    assert not box.has_room
    box.put_reserved([b"x" * 60], 60)
    box.give_back()
    assert accounts(box) == (1, 60)
    assert list(box.items) == [b"x" * 60]


async def test_several_items_may_go_into_one_slot_in_one_step():
    box = make_box(capacity=1)
    await box.reserve(6)
    box.put_reserved([b"aa", b"bb", b"cc"], 6)
    assert accounts(box) == (3, 6)
    assert not box.has_room


async def test_reserve_cancelled_before_the_grant_leaves_nothing():
    box = make_box(capacity=1)
    box.put(b"0")
    with trio.move_on_after(0):
        await box.reserve(5)
    assert accounts(box) == (1, 1)
    box.written(box.take(1000))
    assert accounts(box) == (0, 0)
    assert box.has_room


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_reserve_cancelled_in_the_tick_of_the_grant_gives_the_slot_back(cancel_first):
    box = make_box(capacity=1)
    box.put(b"0")
    outcome = []

    async def first():
        with trio.CancelScope() as scope:
            scopes.append(scope)
            await box.reserve(7)
            outcome.append("reserved")
            box.give_back(7)

    async def second():
        await box.reserve(3)
        outcome.append("second")

    scopes = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await wait_all_tasks_blocked()
        nursery.start_soon(second)
        await wait_all_tasks_blocked()
        batch = box.take(1000)
        if cancel_first:
            scopes[0].cancel()
            box.written(batch)
        else:
            box.written(batch)
            scopes[0].cancel()
        assert accounts(box) == (1, 7), "granted to the first in sync code"
        await wait_all_tasks_blocked()
        # Either it had the slot before the cancellation came, or it gave it back; never lost.
        assert outcome in (["second"], ["reserved", "second"])
        assert accounts(box) == (1, 3)
    assert outcome == (["second"] if cancel_first else ["reserved", "second"])


async def test_a_waiter_that_is_cancelled_does_not_hold_up_the_next():
    box = make_box(capacity=1)
    box.put(b"0")
    granted = []

    async def waiter(name, scope):
        with scope:
            await box.reserve()
            granted.append(name)

    async with trio.open_nursery() as nursery:
        scopes = [trio.CancelScope() for _ in range(3)]
        for name, scope in enumerate(scopes):
            nursery.start_soon(waiter, name, scope)
            await wait_all_tasks_blocked()
        scopes[0].cancel()
        await wait_all_tasks_blocked()
        box.written(box.take(1000))
        await wait_all_tasks_blocked()
        assert granted == [1]
        scopes[2].cancel()


# ---- closing


async def test_closing_wakes_everybody_with_the_error():
    box = make_box(capacity=1)
    box.put(b"0")
    raised = []

    async def reserve():
        try:
            await box.reserve(4)
        except ConnectionClosed as exc:
            raised.append(exc)

    async def arrival():
        await box.arrival()
        raised.append("arrival")

    error = ConnectionClosed("lost", code=1006, reason="because")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reserve)
        nursery.start_soon(reserve)
        nursery.start_soon(arrival)
        await wait_all_tasks_blocked()
        box.close(error)
    assert raised.count("arrival") == 1
    errors = [exc for exc in raised if exc != "arrival"]
    assert [(type(e), e.code, e.reason) for e in errors] == [
        (ConnectionClosed, 1006, "because")
    ] * 2
    assert len({id(e) for e in (*errors, error)}) == 3, "each caller has an exception of its own"
    assert accounts(box) == (1, 1)


async def test_a_closed_box_takes_nothing_in_and_lets_everything_out():
    box = make_box()
    box.put(b"0")
    await box.reserve(9)
    box.close(ClientClosed("first"))
    box.close(ClientClosed("second"))
    with pytest.raises(ClientClosed, match="first"):
        await box.reserve()
    with pytest.raises(ClientClosed, match="first"):
        box.put_reserved([b"x" * 9], 9)
    assert accounts(box) == (1, 1), "the reserved slot is gone anyway"
    assert box.pop() == b"0"
    assert accounts(box) == (0, 0)


async def test_a_grant_in_the_tick_of_the_close_is_given_back():
    box = make_box(capacity=1)
    box.put(b"0")
    with pytest.raises(ExceptionGroup) as group:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(box.reserve, 8)
            await wait_all_tasks_blocked()
            box.written(box.take(1000))
            assert accounts(box) == (1, 8)
            box.close(ClientClosed("closed"))
    assert group.group_contains(ClientClosed, depth=1)
    assert accounts(box) == (0, 0)


@pytest.mark.parametrize("granted", [True, False])
async def test_cancelled_in_the_tick_of_the_close_leaves_nothing(granted):
    box = make_box(capacity=1)
    box.put(b"0")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.reserve, 8)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        if granted:
            box.written(box.take(1000))
        box.close(ClientClosed("closed"))
    assert accounts(box) == ((0, 0) if granted else (1, 1))


async def test_closing_ends_writing_at_once():
    box = make_box()
    box.idle_writer = box.write_through = lambda item: True
    box.close(ClientClosed("closed"))
    assert (box.idle_writer, box.write_through) == (None, None)


# ---- an inbox that nobody attends


async def test_an_unattended_box_keeps_the_newest_and_counts_what_it_drops():
    box = make_box(capacity=3, has_consumer=False)
    for n in range(10):
        box.extend([b"%d" % n])
    assert list(box.items) == [b"7", b"8", b"9"]
    assert (box.dropped, box.dropped_since) == (7, 7)
    assert accounts(box) == (3, 3)
    assert not box.full, "it never stops who fills it"
    box.has_consumer = True
    assert box.full


async def test_an_unattended_box_keeps_within_its_bytes_but_never_drops_the_newest():
    box = make_box(capacity=10, max_bytes=100, has_consumer=False)
    box.extend([b"a" * 60, b"b" * 60])
    assert (list(box.items), box.bytes) == ([b"b" * 60], 60)
    box.extend([b"c" * 500])
    assert (list(box.items), box.bytes) == ([b"c" * 500], 500)
    assert box.dropped == 2


async def test_an_attended_box_keeps_what_was_read_already():
    box = make_box(capacity=2)
    box.extend([b"1", b"2", b"3", b"4"])
    assert list(box.items) == [b"1", b"2", b"3", b"4"]
    assert (box.dropped, box.full) == (0, True)


# ---- taking


async def test_items_count_until_they_are_written():
    box = make_box(capacity=3)
    for item in (b"a", b"bb", b"ccc"):
        box.put(item)
    batch = box.take(1000)
    assert batch == [b"a", b"bb", b"ccc"]
    assert not box.items
    assert accounts(box) == (3, 6)
    assert not box.has_room
    box.written(batch)
    assert accounts(box) == (0, 0)


@pytest.mark.parametrize(
    ("limit", "taken"), [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3), (30, 3), (1000, 3)]
)
async def test_take_stops_at_the_item_that_reaches_the_limit(limit, taken):
    box = make_box()
    for _ in range(3):
        box.put(b"x" * 10)
    assert len(box.take(limit)) == taken
    assert len(box.items) == 3 - taken
    assert accounts(box) == (3, 30)


async def test_take_of_nothing_is_nothing():
    box = make_box()
    assert box.take(10) == []
    box.written([])
    assert accounts(box) == (0, 0)


async def test_arrival_is_told_by_a_put_an_extend_and_a_wake():
    box = make_box()
    for tell in (lambda: box.put(b"x"), lambda: box.extend([b"x"]), box.wake):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(box.arrival)
            nursery.start_soon(box.arrival)
            await wait_all_tasks_blocked()
            box.idle_writer = box.write_through = lambda item: True
            tell()
            assert (box.idle_writer, box.write_through) == (None, None), (
                "the writer is awake, and not alone"
            )


# ---- the reader that waits


async def parked(box, events):
    await box.drained()
    events.append(len(box.items))


async def test_drained_waits_until_half_of_the_messages_are_gone():
    box = make_box(capacity=10)
    box.extend([b"x"] * 12)
    events = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parked, box, events)
        await wait_all_tasks_blocked()
        while len(box.items) > 5:
            assert events == []
            box.pop()
            await wait_all_tasks_blocked()
    assert events == [5]


async def test_drained_waits_until_half_of_the_bytes_are_gone():
    box = make_box(capacity=100, max_bytes=100)
    box.extend([b"x" * 10] * 12)
    events = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parked, box, events)
        await wait_all_tasks_blocked()
        while box.bytes > 50:
            assert events == []
            box.pop()
            await wait_all_tasks_blocked()
    assert events == [5]


async def test_drained_of_a_box_with_room_does_not_wait():
    box = make_box()
    with trio.fail_after(60):
        await box.drained()


async def test_drained_cancelled_changes_nothing():
    box = make_box(capacity=2)
    box.extend([b"x"] * 2)
    with trio.move_on_after(0):
        await box.drained()
    events = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parked, box, events)
        await wait_all_tasks_blocked()
        box.pop()
    assert events == [1]


async def test_drained_waits_on_when_the_box_has_filled_again_meanwhile():
    box = make_box(capacity=2)
    box.extend([b"x"] * 2)
    events = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parked, box, events)
        await wait_all_tasks_blocked()
        box.pop()
        box.extend([b"x"] * 2)
        await wait_all_tasks_blocked()
        assert events == []
        box.clear()
    assert events == [0]
    assert accounts(box) == (0, 0)


async def test_clear_leaves_what_is_being_written_and_what_is_promised():
    box = make_box(capacity=10)
    box.put(b"aa")
    batch = box.take(1000)
    await box.reserve(5)
    box.put(b"bbb")
    box.clear()
    assert accounts(box) == (2, 7)
    box.written(batch)
    box.give_back(5)
    assert accounts(box) == (0, 0)


# ---- the accounts, whatever happens in whatever order


class Model:
    """Tasks that reserve, are cancelled, put and give back, beside a writer and a clearer."""

    def __init__(self, rng, capacity, max_bytes):
        self.rng = rng
        self.box = make_box(capacity, max_bytes)
        self.waiting = {}  # place in the order of arrival: scope
        self.owned = []  # sizes
        self.batches = []
        self.arrivals = count()
        self.served = -1  # the last place that was served

    def expected(self):
        in_box = len(self.box.items) + sum(map(len, self.batches)) + len(self.owned)
        in_bytes = (
            sum(map(len, self.box.items))
            + sum(len(item) for batch in self.batches for item in batch)
            + sum(self.owned)
        )
        return in_box, in_bytes

    async def reserve(self, scope, size):
        place = next(self.arrivals)
        self.waiting[place] = scope
        with scope:
            await self.box.reserve(size)
            self.served = max(self.served, place)
            self.owned.append(size)
        del self.waiting[place]

    async def step(self, nursery):
        rng, box = self.rng, self.box
        action = rng.choice(
            ("reserve", "reserve", "put", "cancel", "use", "use", "give", "take", "written", "pop")
        )
        size = rng.choice((0, 1, 7, 40))
        if action == "reserve":
            nursery.start_soon(self.reserve, trio.CancelScope(), size)
        elif action == "put" and box.has_room:
            box.put(b"x" * size)
        elif action == "cancel" and self.waiting:
            self.waiting[rng.choice(list(self.waiting))].cancel()
        elif action == "use" and self.owned:
            size = self.owned.pop(rng.randrange(len(self.owned)))
            box.put_reserved([b"x" * size], size)
        elif action == "give" and self.owned:
            box.give_back(self.owned.pop())
        elif action == "take":
            self.batches.append(box.take(rng.choice((1, 50, 1000))))
        elif action == "written" and self.batches:
            box.written(self.batches.pop(0))
        elif action == "pop" and rng.random() < 0.1:
            # what leaves without a grant is told by the next `written`
            box.clear()
            box.written([])
        if rng.random() < 0.6:
            await wait_all_tasks_blocked()
            assert accounts(box) == self.expected()
            if self.waiting:
                full = box.count >= box.policy.capacity or box.bytes >= box.policy.max_bytes
                assert full, "somebody waits although there is room"
                assert self.served < min(self.waiting), "a later ticket was granted first"

    async def end(self):
        await wait_all_tasks_blocked()
        for scope in self.waiting.values():
            scope.cancel()
        await wait_all_tasks_blocked()
        while self.owned:
            self.box.give_back(self.owned.pop())
        while self.batches:
            self.box.written(self.batches.pop())
        self.box.written(self.box.take(10**9))


@pytest.mark.parametrize("seed", range(40))
async def test_the_accounts_never_drift_and_return_to_zero(seed):
    rng = random.Random(seed)
    model = Model(rng, rng.choice((1, 2, 5)), rng.choice((1, 50, 200)))
    async with trio.open_nursery() as nursery:
        for _ in range(150):
            await model.step(nursery)
        await model.end()
    assert accounts(model.box) == (0, 0)
    assert model.box.has_room


async def test_who_waits_lets_small_items_in_up_to_what_they_cost_in_memory():
    box = Queue(None, Fifo(2, max_bytes=51_300))
    box.extend([b"x"] * 2)
    assert box.full
    box.ignore_count(True)
    box.extend([b"x"] * 97)
    assert not box.full
    box.extend([b"x"])
    assert box.full
    box.ignore_count(False)
    while len(box.items) > 1:
        assert box.full
        box.pop()
    assert not box.full


# ---- items that wait in line by themselves


async def test_an_item_in_line_goes_in_by_itself_in_the_order_of_all_who_wait():
    box = make_box(capacity=1)
    box.put(b"0")
    first = box.put_later(b"1")
    async with trio.open_nursery() as nursery:

        async def waits():
            await box.reserve(1)
            box.put_reserved((b"2",), 1)

        nursery.start_soon(waits)
        await wait_all_tasks_blocked()
        last = box.put_later(b"3")
        assert not box.offer(b"overtakes")
        seen = []
        for _ in range(4):
            batch = box.take(1)
            seen += batch
            box.written(batch)
            await wait_all_tasks_blocked()
    assert seen == [b"0", b"1", b"2", b"3"]
    assert first.granted
    assert last.granted
    assert last.event.is_set()
    assert accounts(box) == (0, 0)


async def test_an_item_that_is_withdrawn_leaves_its_place_to_the_next():
    box = make_box(capacity=1)
    box.put(b"0")
    first, second = box.put_later(b"1"), box.put_later(b"2")
    assert box.withdraw(first)
    box.written(box.take(1))
    assert list(box.items) == [b"2"]
    assert not box.withdraw(second), "it is in the box, and will be sent"
    third = box.put_later(b"3")
    box.close(ClientClosed("closed"))
    assert third.event.is_set()
    assert not third.granted
    assert not box.withdraw(third)
    assert accounts(box) == (1, 1)


# ---- a wake that is put off until the end of a step


class Line:
    """An idle writer that is parked, and what was written directly."""

    def __init__(self, box, *, takes=True):
        self.written, self._box, self._takes = [], box, takes
        self.turns = 0

    async def run(self, task_status):
        while True:
            self._box.idle_writer = self._box.write_through = self.write
            task_status.started()
            await self._box.arrival()
            self.turns += 1
            batch = self._box.take(1000)
            self.written += batch
            self._box.written(batch)
            await trio.sleep_forever()

    def write(self, item):
        if self._takes:
            self.written.append(item)
        return self._takes


@pytest.mark.parametrize(
    ("put", "takes", "turns"),
    [
        ([b"one"], True, 0),  # written in the step
        ([b"one"], False, 1),  # the system takes nothing
        ([b"one", b"two"], True, 1),
        ([Ping(b"one")], True, 1),
        ([b"x" * LARGE], True, 1),
    ],
    ids=["a lone one", "refused", "two", "a ping", "a large one"],
)
async def test_a_wake_that_is_put_off_writes_a_lone_message_and_wakes_for_more(put, takes, turns):
    box = make_box(max_bytes=1 << 20)
    line = Line(box, takes=takes)
    async with trio.open_nursery() as nursery:
        await nursery.start(line.run)
        box.wake_later()
        for item in put:
            assert box.offer(item)
            assert box.write_through is None  # or it would be overtaken
        assert line.written == []
        box.wake_now()
        assert (line.written == put) is (turns == 0)
        await wait_all_tasks_blocked()
        assert (line.written, line.turns) == (put, turns)
        assert accounts(box) == (0, 0)
        assert (box.idle_writer is not None) is (turns == 0)
        nursery.cancel_scope.cancel()


async def test_a_wake_that_is_put_off_is_forgotten_if_nothing_came():
    box = make_box()
    line = Line(box)
    async with trio.open_nursery() as nursery:
        await nursery.start(line.run)
        box.wake_later()
        box.wake_now()
        await wait_all_tasks_blocked()
        assert (line.written, line.turns) == ([], 0)
        assert box.write_through is not None
        box.put(b"next")
        await wait_all_tasks_blocked()
        assert (line.written, line.turns) == ([b"next"], 1)
        nursery.cancel_scope.cancel()


async def test_a_wake_that_is_put_off_comes_though_nothing_was_put_in():
    box = make_box()
    line = Line(box)
    async with trio.open_nursery() as nursery:
        await nursery.start(line.run)
        box.wake_later()
        box.wake()  # as for a close frame
        box.wake_now()
        await wait_all_tasks_blocked()
        assert line.turns == 1
        nursery.cancel_scope.cancel()


async def test_a_queue_that_closes_meanwhile_wakes_its_writer():
    box = make_box()
    line = Line(box)
    async with trio.open_nursery() as nursery:
        await nursery.start(line.run)
        box.wake_later()
        box.put(b"last")
        box.close(ClientClosed("closed"))
        box.wake_now()
        await wait_all_tasks_blocked()
        assert (line.written, line.turns) == ([b"last"], 1)
        nursery.cancel_scope.cancel()
