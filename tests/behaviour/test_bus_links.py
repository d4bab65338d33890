"""What a journal asks of a bus: the one in memory answers as a real Redis does."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager

import anyio
import pytest

from tests.redis_server import RedisServer
from vuer_trio.bus import MemoryBus, RedisBus
from vuer_trio.bus.link import PAGE_BYTES, Entry, LinkLost, Refused, place_of

pytestmark = pytest.mark.anyio

TOPIC, OTHER = "words", "others"


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request):
    return request.param


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


class InMemory:
    def __init__(self):
        self.bus = MemoryBus()
        self.clear = self.bus.clear

    @asynccontextmanager
    async def without_memory(self):
        self.bus.refuse("OOM, for a test")
        yield
        self.bus.refuse(None)


class InRedis:
    def __init__(self, server):
        self._server = server
        self.bus = RedisBus(server.uri, timeout=60.0)
        self.clear()

    def clear(self):
        self._server.command("FLUSHALL")

    @asynccontextmanager
    async def without_memory(self):
        self._server.command("CONFIG", "SET", "maxmemory", "1")
        try:
            yield
        finally:
            self._server.command("CONFIG", "SET", "maxmemory", "0")


@pytest.fixture(params=["memory", "redis"])
def store(request):
    if request.param == "memory":
        return InMemory()
    return InRedis(request.getfixturevalue("redis"))


@pytest.fixture
async def link(store):
    async with store.bus._open_link() as found:
        yield found


async def founded(link, topic=TOPIC):
    """A journal; returns the id of its first entry."""
    at = b"%d-0" % (await link.now() + 1)
    assert await link.found(topic, Entry(at, {b"f": b"epoch"}), b"snapshot")
    return at


async def entries_of(link, after=b"0-0"):
    return (await link.wait(TOPIC, after, 100, 1.0)).entries


async def test_a_journal_that_there_is_not(link):
    assert await link.load(TOPIC) is None
    assert await link.snapshot_size(TOPIC) == 0
    assert await link.newest(TOPIC) is None
    assert await link.append(TOPIC, {b"c": b"1"}) is None
    assert await link.read(TOPIC, b"1-0", 5) is None
    assert await link.wait(TOPIC, b"0-0", 5, 0.01) == ([], False)
    assert await link.lock(TOPIC, b"me", 600.0)
    assert not await link.compact(TOPIC, b"me", b"snapshot", b"1-0", 0.0)


async def test_it_is_founded_once(link):
    before = await link.now()
    assert abs(before - time.time() * 1000) < 3_600_000
    at = await founded(link)
    assert not await link.found(TOPIC, Entry(b"1-0", {b"f": b"other"}), b"other")
    assert await link.load(TOPIC) == b"snapshot"
    assert await link.snapshot_size(TOPIC) == 8
    assert await link.newest(TOPIC) == at
    assert await entries_of(link) == [Entry(at, {b"f": b"epoch"})]
    assert await link.read(TOPIC, at, 5) == ([], False)
    assert await link.read(TOPIC, b"1-0", 5) is None
    assert await link.newest(OTHER) is None


async def test_entries_come_in_their_order(link):
    at = await founded(link)
    ids = [await link.append(TOPIC, {b"c": b"%d" % n}) for n in range(5)]
    places = [place_of(one) for one in (at, *ids)]
    assert sorted(set(places)) == places
    assert await link.newest(TOPIC) == ids[-1]
    entries, more = await link.read(TOPIC, at, 100)
    assert [entry.id for entry in entries] == ids
    assert [entry.fields for entry in entries] == [{b"c": b"%d" % n} for n in range(5)]
    assert not more
    entries, more = await link.read(TOPIC, ids[1], 2)
    assert [entry.id for entry in entries] == ids[2:4]
    assert more
    entries, _ = await link.read(TOPIC, ids[2], 2)
    assert [entry.id for entry in entries] == ids[3:]
    entries, more = await link.wait(TOPIC, ids[1], 2, 30.0)
    assert [entry.id for entry in entries] == ids[2:4]
    assert more
    entries, more = await link.wait(TOPIC, ids[1], 10, 30.0)
    assert [entry.id for entry in entries] == ids[2:]
    assert not more


async def test_no_more_is_read_at_once_than_a_page(link):
    at = await founded(link)
    half, large = PAGE_BYTES // 2, 3 * PAGE_BYTES
    for size in (10, half, half // 2, half, large, half, half, 5):
        await link.append(TOPIC, {b"c": bytes(size)})
    found, more = [], True
    while more:
        entries, more = await link.read(TOPIC, at, 100)
        at = entries[-1].id
        found.append([len(entry.fields[b"c"]) for entry in entries])
    assert found == [[10, half, half // 2], [half], [large], [half], [half, 5]]


@pytest.mark.parametrize("event", ["append", "found", "compact"])
async def test_who_waits_wakes_up(store, link, event):
    at = None if event == "found" else await founded(link)
    async with store.bus._open_link() as other, anyio.create_task_group() as tasks:
        got = []

        async def wait():
            with anyio.fail_after(60):
                while not got:
                    got.extend((await link.wait(TOPIC, at or b"0-1", 5, 30.0)).entries)

        tasks.start_soon(wait)
        await anyio.sleep(0.05)
        assert got == []
        if event == "append":
            await other.append(TOPIC, {b"c": b"news"})
        elif event == "found":
            await founded(other)
        else:
            assert await other.lock(TOPIC, b"me", 600.0)
            assert await other.compact(TOPIC, b"me", b"new", at, 0.0)
    assert len(got) == 1


async def test_a_lock_has_one_owner_until_it_expires(link):
    assert await link.lock(TOPIC, b"me", 600.0)
    assert await link.lock(TOPIC, b"me", 600.0)  # keeps it
    assert not await link.lock(TOPIC, b"you", 600.0)
    assert await link.lock(OTHER, b"you", 600.0)
    await link.unlock(TOPIC, b"you")
    assert not await link.lock(TOPIC, b"you", 600.0)
    await link.unlock(TOPIC, b"me")
    assert await link.lock(TOPIC, b"you", 0.05)
    with anyio.fail_after(60):
        while not await link.lock(TOPIC, b"me", 600.0):
            await anyio.sleep(0.01)


async def test_a_snapshot_needs_the_lock_and_gives_it_back(link):
    at = await founded(link)
    assert not await link.compact(TOPIC, b"me", b"new", at, 0.0)
    assert await link.lock(TOPIC, b"you", 600.0)
    assert not await link.compact(TOPIC, b"me", b"new", at, 0.0)
    await link.unlock(TOPIC, b"you")
    assert await link.lock(TOPIC, b"me", 0.02)
    await anyio.sleep(0.1)
    assert not await link.compact(TOPIC, b"me", b"new", at, 0.0)  # it has expired
    assert await link.load(TOPIC) == b"snapshot"
    assert await link.lock(TOPIC, b"me", 600.0)
    assert await link.compact(TOPIC, b"me", b"new", at, 0.0)
    assert await link.load(TOPIC) == b"new"
    assert await link.lock(TOPIC, b"you", 600.0)


@pytest.mark.parametrize("keep", [0.0, 3600.0])
async def test_what_a_snapshot_drops(link, keep):
    at = await founded(link)
    ids = []
    for _ in range(4):
        await anyio.sleep(0.003)  # the ids count milliseconds
        ids.append(await link.append(TOPIC, {b"c": b"x"}))
    await anyio.sleep(0.003)
    assert await link.lock(TOPIC, b"me", 600.0)
    assert await link.compact(TOPIC, b"me", b"new", ids[2], keep)
    entries = await entries_of(link)
    kept = ids[2:] if keep == 0.0 else [at, *ids]
    assert [entry.id for entry in entries[:-1]] == kept
    assert entries[-1].fields == {b"s": ids[2]}
    assert await link.newest(TOPIC) == entries[-1].id


async def test_who_is_alive(link):
    await link.beat(TOPIC, b"here", 600.0)
    await link.beat(TOPIC, b"gone", 0.01)
    await link.beat(OTHER, b"elsewhere", 600.0)
    await anyio.sleep(0.1)
    assert await link.silent(TOPIC, []) == []
    members = [b"here", b"gone", b"elsewhere", b"nobody"]
    assert await link.silent(TOPIC, members) == [b"gone", b"elsewhere", b"nobody"]


async def test_without_memory_it_is_read_but_not_written(store, link):
    at = await founded(link)
    assert await link.lock(TOPIC, b"me", 600.0)
    async with store.without_memory():
        for writing in (
            link.append(TOPIC, {b"c": b"x"}),
            link.found(OTHER, Entry(b"1-0", {b"f": b"epoch"}), b"snapshot"),
            link.compact(TOPIC, b"me", b"new", at, 0.0),
            link.lock(OTHER, b"me", 600.0),
            link.beat(TOPIC, b"me", 600.0),
        ):
            with pytest.raises(Refused, match="OOM"):
                await writing
        assert await link.read(TOPIC, at, 5) == ([], False)
        assert await link.load(TOPIC) == b"snapshot"
        assert await link.newest(TOPIC) == at
        await link.unlock(TOPIC, b"me")
    assert await link.lock(TOPIC, b"you", 600.0)


async def test_one_that_is_emptied_can_be_founded_again(store, link):
    at = await founded(link)
    await link.beat(TOPIC, b"me", 600.0)
    assert await link.lock(TOPIC, b"me", 600.0)
    store.clear()
    assert await link.load(TOPIC) is None
    assert await link.append(TOPIC, {b"c": b"x"}) is None
    assert await link.silent(TOPIC, [b"me"]) == [b"me"]
    assert await link.lock(TOPIC, b"you", 600.0)
    older = b"%d-7" % (place_of(at)[0] - 1000)
    assert await link.found(TOPIC, Entry(older, {b"f": b"again"}), b"other")
    assert (await entries_of(link))[0].id == older


async def test_a_link_that_was_cut_stays_so():
    bus = MemoryBus()
    async with bus._open_link() as link:
        bus.cut()
        bus.cut(None)
        with pytest.raises(LinkLost):
            await link.now()
