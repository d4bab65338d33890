"""The journal that several processes share, over a bus in memory, in virtual time."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from itertools import count

import anyio
import pytest
from msgpack import packb

from tests.repetitions import cancel_everywhere
from vuer_trio import (
    Backoff,
    Connected,
    ConnectionFailed,
    Disconnected,
    EncodeError,
    OutboxFull,
    SceneStore,
)
from vuer_trio.bus import MemoryBus, memory_bus
from vuer_trio.bus import journal as journal_module
from vuer_trio.bus.entries import (
    Changes,
    Damaged,
    Snapshot,
    encode_changes,
    parse_entry,
    parse_snapshot,
)
from vuer_trio.bus.journal import Journal
from vuer_trio.bus.link import PAGE_BYTES, Entry, LinkLost, Page, place_of
from vuer_trio.bus.pending import Pending
from vuer_trio.codec import make_encoder
from vuer_trio.schemas import Box, Scene

pytestmark = pytest.mark.anyio

SOON = Backoff(initial=0.001, maximum=0.005)


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request):
    return request.param


class Words:
    """A `SharedState`: the words, in order."""

    def __init__(self):
        self.words = []
        self.loaded = 0

    def apply(self, payload, origin):
        if payload.startswith(b"bad"):
            raise ValueError("a bad word")
        if payload.startswith(b"worse"):
            raise KeyError("a fault of its own")
        self.words.append(payload.decode())

    def dump(self):
        return " ".join(self.words).encode()

    def load(self, state):
        self.words = state.decode().split()
        self.loaded += 1

    def confirmed(self, number):
        pass


def joined(bus, topic="words", **options):
    state = Words()
    journal = Journal(bus, topic, state, look=options.pop("look", 1000.0), **options)
    return state, journal


async def eventually(condition):
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.001)


# ---- the order


async def test_all_have_the_same_changes_in_the_same_order():
    bus = MemoryBus()
    (one, first), (two, second) = joined(bus), joined(bus)
    async with first.block(), second.block():
        for n in range(100):
            first.append(b"a%d" % n)
            second.append(b"b%d" % n)
            if n % 10 == 0:
                await anyio.lowlevel.checkpoint()
        assert first.waiting > 0
        await first.flush()
        await second.flush()
        await eventually(lambda: len(one.words) == len(two.words) == 200)
    assert one.words == two.words
    for letter in "ab":
        assert [w for w in one.words if w[0] == letter] == [f"{letter}{n}" for n in range(100)]
    assert first.waiting == second.waiting == 0


async def test_who_comes_late_has_everything():
    bus = MemoryBus()
    one, first = joined(bus)
    async with first.block():
        for n in range(300):
            first.append(b"w%d" % n)
            await first.flush()
        late, second = joined(bus)
        async with second.block():
            assert late.words == one.words
            assert late.loaded == 1
            first.append(b"and")
            await first.flush()
            await eventually(lambda: late.words == one.words)
    assert len(one.words) == 301


async def test_the_state_of_the_first_is_where_all_begin():
    bus = MemoryBus()
    one, first = joined(bus)
    two, second = joined(bus)
    one.words, two.words = ["first"], ["second"]
    async with first.block(), second.block():
        assert one.words == two.words == ["first"]


async def test_changes_made_before_the_block_are_made_in_it():
    bus = MemoryBus()
    one, first = joined(bus)
    first.append(b"early")
    async with first.block():
        await first.flush()
        assert one.words == ["early"]
    async with first.block():  # again
        first.append(b"later")
        await first.flush()
    assert one.words == ["early", "later"]


# ---- a bus that is lost


async def test_a_lost_bus_loses_and_doubles_nothing(caplog):
    bus = MemoryBus(reconnect=SOON)
    (one, first), (two, second) = joined(bus), joined(bus)
    async with first.block(), second.block():
        watch = first.watch()
        first.append(b"before")
        await first.flush()
        bus.cut("the cable is out")
        await eventually(lambda: not first.connected and not second.connected)
        first.append(b"during")
        second.append(b"meanwhile")
        await anyio.sleep(0.05)
        assert one.words == ["before"]
        bus.cut(None)
        await first.flush()
        await second.flush()
        await eventually(lambda: one.words == two.words)
        change = await anext(watch)
        assert isinstance(change, Disconnected)
        assert "the cable is out" in change.reason
        assert await anext(watch) == Connected(2)
    assert sorted(one.words) == ["before", "during", "meanwhile"]
    said = [record.getMessage() for record in caplog.records]
    assert any("the bus is lost: the cable is out; " in text for text in said)
    assert any("is back" in text for text in said)
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


class Doubtful(MemoryBus):
    """Each third append is done, and the answer is lost with the link."""

    def __init__(self):
        super().__init__(reconnect=Backoff(initial=0.001, maximum=0.002))
        self.count = 0


async def test_an_append_that_nobody_has_confirmed_is_made_once(monkeypatch):
    from vuer_trio.bus import memory_bus

    bus = Doubtful()
    real = memory_bus._MemoryLink.append

    async def append(link, topic, fields):
        done = await real(link, topic, fields)
        bus.count += 1
        if bus.count % 3 == 0:
            raise LinkLost("the answer was lost")
        return done

    monkeypatch.setattr(memory_bus._MemoryLink, "append", append)
    (one, first), (two, second) = joined(bus), joined(bus)
    async with first.block(), second.block():
        for n in range(30):
            first.append(b"a%d" % n)
            second.append(b"b%d" % n)
            await anyio.sleep(0.001)
        await first.flush()
        await second.flush()
        await eventually(lambda: one.words == two.words)
    assert bus.count > 10
    for letter in "ab":
        assert [w for w in one.words if w[0] == letter] == [f"{letter}{n}" for n in range(30)]


async def test_what_was_sent_twice_is_skipped_by_who_comes_late():
    bus = MemoryBus()
    one, first = joined(bus)
    async with first.block():
        first.append(b"once")
        await first.flush()
        link = first._link
        await link.append("words", encode_changes(first.writer, 1, [b"once"]))
        await link.append("words", encode_changes(b"other", 1, [b"x", b"y"]))
        await link.append("words", encode_changes(b"other", 2, [b"y", b"z"]))
        late, second = joined(bus)
        async with second.block():
            assert late.words == one.words == ["once", "x", "y", "z"]


async def test_a_bus_that_forgets_gets_the_state_from_here(caplog):
    bus = MemoryBus(reconnect=SOON)
    (one, first), (two, second) = joined(bus), joined(bus)
    async with first.block(), second.block():
        first.append(b"kept")
        await first.flush()
        await eventually(lambda: two.words == ["kept"])
        bus.cut()
        await eventually(lambda: not first.connected and not second.connected)
        bus.clear()
        first.append(b"new")
        bus.cut(None)
        await first.flush()
        second.append(b"newer")
        await second.flush()
        await eventually(lambda: one.words == two.words)
    assert one.words == ["kept", "new", "newer"]
    assert "has lost everything" in caplog.text


async def test_a_bus_that_is_emptied_and_begun_by_another_shows_all_the_same(monkeypatch, caplog):
    bus = MemoryBus(reconnect=SOON)
    (one, first), (two, second), (three, third) = joined(bus), joined(bus), joined(bus)
    three.words = ["default"]
    async with first.block(), second.block():
        first.append(b"kept")
        await first.flush()
        await eventually(lambda: two.words == ["kept"])
        bus.clear()  # nobody writes, so nobody hears of it
        later = place_of(first._at)[0] + 1
        monkeypatch.setattr(memory_bus, "_now", lambda: later)
        async with third.block():
            third.append(b"new")
            await third.flush()
            await eventually(lambda: one.words == two.words == three.words)
            first.append(b"newer")
            await first.flush()
            await eventually(lambda: one.words == two.words == three.words)
    assert three.words == ["default", "new", "newer"]
    assert "has lost changes" in caplog.text


async def test_a_journal_that_is_begun_in_the_millisecond_of_the_last_entry(monkeypatch):
    bus = MemoryBus(reconnect=SOON)
    now = memory_bus._now()
    monkeypatch.setattr(memory_bus, "_now", lambda: now)
    (one, first), (two, second) = joined(bus), joined(bus)
    two.words = ["default"]
    async with first.block():
        for _ in range(5):
            first.append(b"kept")
            await first.flush()
        now += 1
        first.append(b"last")
        await first.flush()
        bus.clear()
        async with second.block():
            second.append(b"new")
            await second.flush()
            await eventually(lambda: one.words == two.words)
    assert one.words == ["default", "new"]


async def test_a_quiet_bus_that_is_emptied_gets_the_state_from_here(monkeypatch):
    monkeypatch.setattr(journal_module, "_WAIT", 0.01)
    bus = MemoryBus(reconnect=SOON)
    one, first = joined(bus)
    async with first.block():
        first.append(b"kept")
        await first.flush()
        bus.clear()
        await eventually(lambda: "words" in bus._topics)
        late, second = joined(bus)
        async with second.block():
            assert late.words == one.words == ["kept"]


async def test_all_that_find_the_bus_empty_at_once_come_back_at_once():
    bus = MemoryBus(reconnect=Backoff(initial=0.001, maximum=1000.0, jitter=0))
    members = [joined(bus) for _ in range(4)]
    async with AsyncExitStack() as stack:
        for _, journal in members:
            await stack.enter_async_context(journal.block())
        members[0][1].append(b"kept")
        await members[0][1].flush()
        await eventually(lambda: all(state.words == ["kept"] for state, _ in members))
        watches = [journal.watch() for _, journal in members]
        bus.clear()
        bus.cut()
        bus.cut(None)
        for watch in watches:
            assert isinstance(await anext(watch), Disconnected)
            with anyio.fail_after(10):
                assert await anext(watch) == Connected(2)
        members[0][1].append(b"new")
        await members[0][1].flush()
        await eventually(lambda: all(state.words == ["kept", "new"] for state, _ in members))


async def test_a_journal_that_is_deleted_while_it_runs_begins_again():
    bus = MemoryBus(reconnect=SOON)
    one, first = joined(bus)
    async with first.block():
        first.append(b"kept")
        await first.flush()
        bus.clear()
        first.append(b"new")
        await first.flush()
        late, second = joined(bus)
        async with second.block():
            assert late.words == one.words == ["kept", "new"]


async def test_the_first_attempt_is_an_error_or_is_repeated():
    bus = MemoryBus()
    bus.cut("nobody is there")
    _, journal = joined(bus)
    with pytest.raises(ConnectionFailed, match="nobody is there"):
        async with journal.block():
            pytest.fail("entered")
    bus.reconnect = Backoff(initial=0.01, maximum=0.01, attempts=3, first=True)
    with pytest.raises(ConnectionFailed, match="given up after 3 attempts"):
        async with journal.block():
            pytest.fail("entered")
    bus.reconnect = Backoff(initial=0.01, maximum=0.01, first=True)
    async with anyio.create_task_group() as tasks:

        @tasks.start_soon
        async def mend():
            await anyio.sleep(0.05)
            bus.cut(None)

        async with journal.block():
            assert journal.connected


async def test_a_flush_elsewhere_ends_with_the_block():
    bus = MemoryBus(reconnect=SOON)
    _, journal = joined(bus)
    asked = anyio.Event()

    async def flush():
        asked.set()
        with pytest.raises(ConnectionFailed, match="1 changes were not stored before the end"):
            await journal.flush()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            async with journal.block():
                bus.cut()
                await eventually(lambda: not journal.connected)
                journal.append(b"lost")
                tasks.start_soon(flush)
                await asked.wait()


async def test_a_fork_writes_in_its_own_name():
    bus = MemoryBus(reconnect=SOON)
    (one, first), (two, second) = joined(bus), joined(bus)
    second.writer, second._pid = first.writer, -1  # as a child has them
    async with first.block(), second.block():
        for n in range(3):
            second.append(b"child%d" % n)
        await second.flush()
        for n in range(4):
            first.append(b"parent%d" % n)
        await first.flush()
        await eventually(lambda: len(two.words) == 7)
    assert first.writer != second.writer
    assert one.words == two.words
    assert one.words == ["child0", "child1", "child2", "parent0", "parent1", "parent2", "parent3"]


# ---- room


async def test_without_room_the_call_says_so_and_changes_nothing():
    bus = MemoryBus(reconnect=SOON)
    one, journal = joined(bus, most=3)
    async with journal.block():
        bus.refuse("OOM, for a test")
        for n in range(3):
            journal.append(b"w%d" % n)
        await eventually(lambda: journal._refusal)
        with pytest.raises(OutboxFull, match=r"not taken 3 changes .* OOM, for a test; wait with"):
            journal.append(b"more")
        bus.refuse(None)
        await journal.flush()
        journal.append(b"more")
        await journal.flush()
    assert one.words == ["w0", "w1", "w2", "more"]


async def test_what_is_lost_at_the_end_is_said(caplog):
    bus = MemoryBus(reconnect=SOON)
    _, journal = joined(bus)
    async with journal.block():
        bus.cut("gone")
        journal.append(b"lost")
        await eventually(lambda: not journal.connected)
    assert "1 changes were not stored by memory, and are lost" in caplog.text


def test_a_batch_has_bounds():
    pending = Pending(10_000, 1 << 30)
    for n in range(2000):
        pending.add(b"x" * (1 << 12) if n < 1000 else b"y")
    first, some = pending.batch(0)
    assert first == 1
    assert len(some) == 256  # a megabyte
    assert pending.batch(1000) == (1001, [b"y"] * 512)
    pending.confirm(1999)
    assert len(pending) == pending.size == 1
    assert pending.batch(0) == (2000, [b"y"])
    assert pending.batch(2000) == (2001, [])


# ---- snapshots


async def test_a_snapshot_drops_what_is_old_and_nobody_misses_anything(monkeypatch):
    bus = MemoryBus()
    one, first = joined(bus, look=0.002, due=50, keep=0.0)
    _, second = joined(bus, look=0.002, due=50, keep=0.0)
    async with first.block(), second.block():
        for n in range(400):
            (first if n % 2 else second).append(b"w%d" % n)
            if n % 20 == 0:
                await anyio.sleep(0.002)
        await first.flush()
        await second.flush()
        await eventually(lambda: b"f" not in bus._topics["words"].entries[0].fields)
        late, third = joined(bus)
        async with third.block():
            assert sorted(late.words) == sorted(one.words)
            assert len(set(late.words)) == 400
            assert late.words == one.words


async def test_who_stood_still_for_too_long_loads_the_snapshot(monkeypatch, caplog):
    bus = MemoryBus(reconnect=SOON)
    one, first = joined(bus, keep=0.0, due=1)
    two, second = joined(bus)
    async with first.block(), second.block():
        first.append(b"seen")
        await first.flush()
        await eventually(lambda: two.words == ["seen"])
        # the second reads nothing while entries come, and are dropped
        cut_off = anyio.Event()
        real = second._link.wait

        async def wait(*args):
            await cut_off.wait()
            return Page([], False)

        second._link.wait = wait
        first.append(b"wake")
        await first.flush()
        await eventually(lambda: len(two.words) == 2)
        for n in range(5):
            first.append(b"missed%d" % n)
            await first.flush()
        await anyio.sleep(0.005)  # the clock of entries counts milliseconds
        await first._compact_once(first._link)
        first.append(b"next")
        await first.flush()
        assert place_of(bus._topics["words"].entries[0].id) > place_of(second._at)
        monkeypatch.setattr(second, "_keep", 0.0)  # so that it takes itself for one that has
        second._link.wait = real
        cut_off.set()
        await eventually(lambda: two.words == one.words)
    assert two.loaded == 2


async def test_a_snapshot_that_is_made_while_another_process_starts(monkeypatch):
    bus = MemoryBus(reconnect=SOON)
    one, first = joined(bus, keep=0.0, due=1)
    two, second = joined(bus)
    real = memory_bus._MemoryLink.load
    times = 0

    async def load(link, topic):
        nonlocal times
        times += 1
        found = await real(link, topic)
        if times == 1:  # what it begins with is dropped before it reads on
            await first._compact_once(first._link)
        return found

    async with first.block():
        first.append(b"word")
        await first.flush()
        founded, newest = bus._topics["words"].entries
        monkeypatch.setattr(memory_bus, "_now", lambda: place_of(newest.id)[0] + 1000)
        monkeypatch.setattr(memory_bus._MemoryLink, "load", load)
        async with second.block():
            assert founded not in bus._topics["words"].entries
            assert two.words == one.words == ["word"]
    assert times == 2


async def test_what_was_dropped_unread_comes_with_the_snapshot(monkeypatch):
    # whether the machine slept, with its clock, or that of the bus jumped
    bus = MemoryBus(reconnect=SOON)
    one, first = joined(bus, due=1)
    two, second = joined(bus)
    async with first.block(), second.block():
        first.append(b"seen")
        await first.flush()
        await eventually(lambda: two.words == ["seen"])
        awake = anyio.Event()
        real = second._link.wait

        async def wait(*args):
            await awake.wait()
            return await real(*args)

        second._link.wait = wait
        first.append(b"wake")
        await first.flush()
        await eventually(lambda: two.words == ["seen", "wake"])
        clock = count(place_of(second._at)[0] + 1)
        monkeypatch.setattr(memory_bus, "_now", lambda: next(clock))
        for n in range(3):
            first.append(b"missed%d" % n)
            await first.flush()
        clock = count(place_of(second._at)[0] + 3_600_000)
        await first._compact_once(first._link)
        assert place_of(bus._topics["words"].entries[0].id) > place_of(second._at)
        first.append(b"next")
        await first.flush()
        awake.set()
        await eventually(lambda: two.words[-1] == "next")
    assert two.words == one.words
    assert len(one.words) == 6


async def test_one_process_at_a_time_makes_a_snapshot():
    bus = MemoryBus()
    _, first = joined(bus, due=1)
    _, second = joined(bus, due=1)
    async with first.block(), second.block():
        first.append(b"word")
        await first.flush()
        assert await first._link.lock("words", first.writer, 30)
        assert not await second._link.lock("words", second.writer, 30)
        assert not await second._link.compact("words", second.writer, b"", second._at, 0)


async def test_a_lock_is_given_back_if_nothing_is_due_or_nothing_can_be_made():
    bus = MemoryBus()
    one, first = joined(bus, due=2)
    async with first.block():
        first.append(b"word")
        await first.flush()
        await first._compact_once(first._link)
        assert bus._locks == {}
        first.append(b"word")
        await first.flush()

        def dump():
            raise EncodeError("for a test")

        one.dump = dump
        with pytest.raises(EncodeError):
            await first._compact_once(first._link)
        assert bus._locks == {}
        assert bus._topics["words"].snapshot != b""


async def test_of_two_that_find_a_snapshot_due_one_makes_it():
    bus = MemoryBus()
    (_, first), (_, second) = joined(bus, due=1), joined(bus, due=1)
    async with first.block(), second.block():
        first.append(b"word")
        await first.flush()
        await eventually(lambda: second._is_due)
        await first._compact_once(first._link)
        await second._compact_once(second._link)
    assert [b"s" in entry.fields for entry in bus._topics["words"].entries].count(True) == 1


def test_how_soon_a_snapshot_is_due_depends_on_what_it_holds():
    _, journal = joined(MemoryBus(), due=20_000)
    journal._state_size = 1000
    journal._since, journal._since_bytes = 15_000, 15_000
    assert not journal._is_due
    journal._since = 20_000
    assert journal._is_due
    journal._since, journal._since_bytes = 10_000, 1 << 21
    assert journal._is_due
    journal._state_size = 500_000_000  # what is written each time
    assert not journal._is_due
    journal._since_bytes = 1_000_000_000
    assert journal._is_due
    journal._since, journal._since_bytes = 5_000_000, 0  # what who comes late has to read
    assert journal._is_due


async def test_what_strangers_write_is_dropped_too():
    bus = MemoryBus()
    _, first = joined(bus, look=0.002, due=50, keep=0.0)
    async with first.block():
        for _ in range(60):
            await first._link.append("words", {b"not": b"ours"})
        await eventually(lambda: bus._topics["words"].entries[0].fields.keys() != {b"f"})


async def test_writers_are_forgotten_everywhere_at_the_same_entry(monkeypatch):
    monkeypatch.setattr(journal_module, "_WRITERS", 10)
    monkeypatch.setattr(journal_module, "_MOST_WRITERS", 15)
    bus = MemoryBus()
    (one, first), (two, second) = joined(bus, due=1), joined(bus)
    async with first.block(), second.block():
        link = first._link
        for n in range(8):
            await link.append("words", encode_changes(b"old%d" % n, 1, [b"word"]))
        now = memory_bus._now() + 2 * 86_400_000
        clock = count(now)
        monkeypatch.setattr(memory_bus, "_now", lambda: next(clock))
        for n in range(20):
            await link.append("words", encode_changes(b"new%02d" % n, 1, [b"word"]))
            if n == 4:
                await first._compact_once(link)
                await eventually(lambda: len(first._writers) == 5)
        assert not [name for name in first._writers if name.startswith(b"old")]
        await first._compact_once(link)
        await eventually(lambda: len(first._writers) == 15)
        late, third = joined(bus)
        async with third.block():
            await eventually(lambda: len(second._writers) == len(third._writers) == 15)
            await link.append("words", encode_changes(b"old0", 1, [b"after"]))
            await link.append("words", encode_changes(b"new19", 1, [b"again"]))
            first.append(b"last")
            await first.flush()
            await eventually(lambda: two.words == one.words == late.words)
            assert first._writers == second._writers == third._writers
    assert one.words == ["word"] * 28 + ["after", "last"]


async def test_a_snapshot_that_was_evicted_is_made_anew(monkeypatch, caplog):
    bus = MemoryBus()
    one, first = joined(bus)
    late, second = joined(bus, look=0.001)
    late.words = ["default"]
    real = memory_bus._MemoryLink.load
    times = 0

    async def load(link, topic):
        nonlocal times
        times += 1
        if times == 2:  # while the one that is late waits for that
            await first._compact_once(first._link)
        return await real(link, topic)

    async with first.block():
        first.append(b"kept")
        await first.flush()
        bus._topics["words"].snapshot = None
        monkeypatch.setattr(memory_bus._MemoryLink, "load", load)
        async with second.block():
            assert late.words == one.words == ["kept"]
    assert "have it evict nothing" in caplog.text


async def test_a_process_that_runs_misses_a_snapshot():
    bus = MemoryBus()
    _, first = joined(bus, look=0.001)
    async with first.block():
        bus._topics["words"].snapshot = None
        await eventually(lambda: bus._topics["words"].snapshot is not None)


async def test_a_journal_whose_snapshot_nobody_can_make_begins_anew():
    bus = MemoryBus()
    _, first = joined(bus)
    async with first.block():
        first.append(b"lost")
        await first.flush()
    bus._topics["words"].snapshot = None
    late, second = joined(bus, look=0.001)
    late.words = ["default"]
    async with second.block():
        assert late.words == ["default"]
        assert len(bus._topics["words"].entries) == 1


async def test_entries_that_were_evicted_take_nothing_along(monkeypatch, caplog):
    monkeypatch.setattr(journal_module, "_WAIT", 0.01)
    bus = MemoryBus(reconnect=SOON)
    (one, first), (two, second) = joined(bus), joined(bus)
    async with first.block(), second.block():
        first.append(b"kept")
        await first.flush()
        await eventually(lambda: two.words == ["kept"])
        bus._topics["words"].entries.clear()  # the snapshot is older
        second.append(b"new")
        await second.flush()
        await eventually(lambda: one.words == two.words == ["kept", "new"])
        late, third = joined(bus)
        async with third.block():
            assert late.words == ["kept", "new"]
    assert "has lost everything" in caplog.text


async def test_large_entries_are_read_a_few_at_a_time(monkeypatch):
    bus, pages = MemoryBus(), []
    one, first = joined(bus)
    real = {name: getattr(memory_bus._MemoryLink, name) for name in ("read", "wait")}

    def recording(name):
        async def read(*args):
            page = await real[name](*args)
            pages.append([entry.size for entry in page.entries])
            return page

        return read

    for name in real:
        monkeypatch.setattr(memory_bus._MemoryLink, name, recording(name))
    async with first.block():
        for n in range(12):
            first.append(b"%02d" % n * 150_000)
        await first.flush()
        late, second = joined(bus)
        async with second.block():
            for n in range(12):
                first.append(b"%02d" % n * 300_000)
            await first.flush()
            await eventually(lambda: len(late.words) == 24)
    assert [word[:2] for word in late.words] == [word[:2] for word in one.words]
    for sizes in pages:
        assert len(sizes) <= 2 or sum(sizes) <= PAGE_BYTES


# ---- strangers


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"c": b""},
        {b"c": b"\xc1"},
        {b"c": os.urandom(50)},
        {b"c": b"\x93\xc4\x01w\x00\x90"},
        {b"c": b"\x93\xc4\x01w\xc3\x90"},
        {b"c": b"\x93\xc4\x01w\x01\x91\x05"},
        {b"c": b"\x93\xc4\x00\x01\x90"},
        {b"s": b"no id"},
        {b"f": b""},
        {b"f": b"x" * 65},
        {b"some": b"thing"},
        {b"c": b"\x93\xc4\x01w\x01\x90", b"d": b""},
        encode_changes(b"w", (1 << 64) - 1, [b"a", b"b"]),
    ],
)
def test_a_strange_entry_is_recognised(fields):
    with pytest.raises(Damaged):
        parse_entry(Entry(b"1-0", fields), 1000)


def test_entries_and_snapshots_are_read_as_they_were_written():
    found = parse_entry(Entry(b"1-0", encode_changes(b"me", 7, [b"a", b"b"])), 1000)
    assert found == Changes(b"me", 7, [b"a", b"b"])
    with pytest.raises(Damaged, match="too large: 1,0"):
        parse_entry(Entry(b"1-0", encode_changes(b"me", 7, [b"a" * 1000])), 1000)
    snapshot = Snapshot(b"5-1", b"epoch", {b"me": (7, 5)}, b"state")
    assert parse_snapshot(snapshot.encode()) == snapshot
    for wrong in (b"", b"\x01", b"\x95\x02\xc4\x00\xc4\x00\x90\xc4\x00", b"\xc1"):
        with pytest.raises(Damaged):
            parse_snapshot(wrong)


async def test_strange_entries_are_skipped_and_said(caplog):
    bus = MemoryBus()
    one, first = joined(bus)
    async with first.block():
        link = first._link
        await link.append("words", {b"not": b"ours"})
        await link.append("words", {b"c": b"damaged"})
        await link.append("words", encode_changes(b"stranger", 1, [b"good", b"bad", b"better"]))
        first.append(b"mine")
        await first.flush()
        late, second = joined(bus)
        async with second.block():
            assert late.words == one.words == ["good", "better", "mine"]
    assert caplog.text.count("skipped the entry") == 4
    assert caplog.text.count("skipped a change") == 2


async def test_a_number_that_no_snapshot_could_hold_is_skipped(caplog):
    bus = MemoryBus()
    one, first = joined(bus, due=1)
    async with first.block():
        await first._link.append("words", encode_changes(b"evil", (1 << 64) - 1, [b"a", b"b"]))
        first.append(b"word")
        await first.flush()
        await first._compact_once(first._link)
        assert parse_snapshot(bus._topics["words"].snapshot).state == b"word"
    assert one.words == ["word"]
    assert "skipped the entry" in caplog.text


async def test_a_change_that_the_state_fails_at_ends_nothing(caplog):
    bus = MemoryBus()
    one, first = joined(bus)
    async with first.block():
        first.append(b"\xff")  # UnicodeDecodeError is a ValueError
        first.append(b"worse")
        first.append(b"word")
        await first.flush()
    assert one.words == ["word"]
    assert caplog.text.count("skipped a change") == 2


async def test_a_strange_snapshot_is_an_error_that_says_what_to_do():
    bus = MemoryBus()
    _, first = joined(bus)
    async with first.block():
        bus._topics["words"].snapshot = b"strange"
    _, second = joined(bus)
    with pytest.raises(ConnectionFailed, match=r"cannot be read: .*; use another name"):
        async with second.block():
            pytest.fail("entered")


# ---- cancellation


async def test_cancelled_anywhere_nothing_is_left_and_nothing_is_doubled():
    async def scenario(here):
        bus = MemoryBus(reconnect=SOON)
        (one, first), (two, second) = joined(bus), joined(bus)
        async with second.block():
            async with here:
                async with first.block():
                    for n in range(3):
                        first.append(b"w%d" % n)
                    await first.flush()
                    bus.cut()
                    bus.cut(None)
                    first.append(b"last")
                    await first.flush()
            made = [w for w in two.words if w]
            assert made == ["w0", "w1", "w2", "last"][: len(made)]
        assert here.cancelled or one.words == ["w0", "w1", "w2", "last"]

    await cancel_everywhere(scenario, every=11)


# ---- the scene


async def test_a_scene_is_shared(caplog):
    bus = MemoryBus()
    one = SceneStore(Scene(Box(key="first")), bus=bus)
    two = SceneStore(Scene(Box(key="never")), bus=bus)
    elsewhere = SceneStore(bus=bus, name="elsewhere")
    async with one, two, elsewhere:
        assert two.get("first") == {"tag": "Box", "key": "first"}
        assert two.get("never") is None
        one.upsert @ Box(key="box", n=1)
        assert one.get("box") is None  # not yet: it has to get its turn
        assert one.waiting == 1
        await one.flush()
        assert one.get("box")["n"] == 1
        await eventually(lambda: two.scene_data == one.scene_data)
        with pytest.raises(EncodeError):
            one.upsert @ Box(key="box", n=object())
        assert one.waiting == 0
        with pytest.raises(RuntimeError, match="is open already"):
            async with one:
                pass
        assert one.bus_connected
        assert "box" not in elsewhere.scene
    assert not one.bus_connected


async def test_foreign_changes_of_a_scene_are_skipped(caplog):
    bus = MemoryBus()
    store = SceneStore(bus=bus)
    async with store:
        link, topic = store._journal._link, store._journal._topic
        unsendable = [
            packb({"etype": "ADD", "data": {"nodes": [{"tag": "Box", "key": "evil", **more}]}})
            for more in ({b"bytes": 1}, {"deep": [{b"bytes": 1}]}, {"deep": None})
        ]
        unsendable[-1] = unsendable[-1][:-1] + b"\x91" * 1010 + b"\xc0"
        viewer = Viewer()
        async with store.subscribe(viewer):
            for payload in (b"", b"\xc1", b"\x81\xa5etype\xa4PING", *unsendable):
                await link.append(topic, encode_changes(os.urandom(4), 1, [payload]))
            store.upsert @ Box(key="box")
            await store.flush()
        assert [event.etype for event in viewer.got] == ["SET", "UPSERT"]
        async with store.subscribe(viewer):
            assert viewer.got[-1].etype == "SET"
        store._journal._state_size = 0  # a snapshot is due
        found = bus._topics[topic].snapshot
        bus._topics[topic].snapshot = None
        await store._journal._compact_once(link)
        assert len(bus._topics[topic].snapshot) > len(found)
        assert [node["key"] for node in store.scene] == ["box"]
    assert caplog.text.count("skipped a change") == 6
    assert "it is not a change of a scene, but 'PING'" in caplog.text


class Viewer:
    """A subscriber that encodes what it gets."""

    def __init__(self):
        self.got = []

    def send_nowait(self, event):
        make_encoder()(event.to_wire())
        self.got.append(event)


async def test_a_scene_that_cannot_be_sent_is_none():
    bus = MemoryBus()
    async with SceneStore(bus=bus) as store:
        topic = bus._topics[store._journal._topic]
        found = parse_snapshot(topic.snapshot)
    state = packb({"etype": "SET", "data": {"tag": "Scene", b"bytes": 1}})
    topic.snapshot = Snapshot(found.at, found.epoch, {}, state).encode()
    with pytest.raises(ConnectionFailed, match="cannot be read: it is not a scene that can be"):
        async with SceneStore(bus=bus):
            pytest.fail("entered")


async def test_a_change_from_another_thread_takes_its_turn():
    bus = MemoryBus()
    store = SceneStore(bus=bus)
    async with store:
        await anyio.to_thread.run_sync(lambda: store.threadsafe.upsert @ Box(key="box"))
        await store.flush()
        assert "box" in store.scene
        with pytest.raises(RuntimeError, match="belongs to the event loop of another thread"):
            await anyio.to_thread.run_sync(lambda: store.upsert @ Box(key="box"))


def test_what_a_store_refuses():
    with pytest.raises(TypeError, match="bus must be a RedisBus, or None, got 'redis"):
        SceneStore(bus="redis://localhost")
    with pytest.raises(ValueError, match="name must be a str without"):
        SceneStore(bus=MemoryBus(), name="{a}")
    with pytest.raises(ValueError, match="max_waiting must be"):
        SceneStore(bus=MemoryBus(), max_waiting=0)
    with pytest.raises(TypeError, match="reconnect must be a Backoff"):
        MemoryBus(reconnect=5)
    with pytest.raises(RuntimeError, match="has no bus"):
        SceneStore().bus_changes()


async def test_without_a_bus_the_block_and_flush_do_nothing():
    store = SceneStore(Scene(Box(key="box")))
    async with store:
        store.upsert @ Box(key="other")
        await store.flush()
        assert store.waiting == 0
        assert not store.bus_connected
        assert "other" in store.scene
