"""A bus in memory: for several stores and relays of one process, and for tests."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._connection.backoff import Backoff
from .._interrupts import protected_block
from .._runtime import Runtime, runtime
from .bus import Bus
from .entries import SNAPSHOT_FIELD
from .link import PAGE_BYTES, BusLink, Entry, LinkLost, Page, Refused, place_of

if TYPE_CHECKING:
    from .._async_types import AsyncEvent

__all__ = ["MemoryBus"]

_RECONNECT = Backoff(initial=0.2, maximum=5.0)


@dataclass(slots=True)
class _Topic:
    #: None, and empty, as after an eviction, which takes one of them
    snapshot: bytes | None
    entries: list[Entry]
    #: the id of the newest entry that ever was, in numbers
    newest: tuple[int, int]

    def append(self, fields: Mapping[bytes, bytes]) -> bytes:
        ms, (newest, count) = _now(), self.newest
        self.newest = (ms, 0) if ms > newest else (newest, count + 1)
        self.entries.append(Entry(b"%d-%d" % self.newest, fields))
        return self.entries[-1].id


class MemoryBus(Bus):
    """A bus in the memory of this process, for tests, and for several servers in one loop.

    `cut` and `refuse` have it fail, as a Redis does::

        bus = MemoryBus()
        async with SceneStore(bus=bus) as one, SceneStore(bus=bus) as other:
            one.upsert @ Box(key="box")
            await one.flush()
            assert other.get("box") == one.get("box")
    """

    def __init__(self, *, reconnect: Backoff = _RECONNECT) -> None:
        super().__init__(reconnect)
        self._topics: dict[str, _Topic] = {}
        self._news: set[AsyncEvent] = set()
        self._locks: dict[str, tuple[bytes, float]] = {}  # topic: its owner, and until when
        self._alive: dict[tuple[str, bytes], float] = {}  # of a topic, who: until when
        self._down: str | None = None
        self._refusal: str | None = None
        self._cuts = 0

    def cut(self, reason: str | None = "the bus was cut") -> None:
        """Lose all links, and open none until ``cut(None)``. The content stays."""
        self._down = reason
        self._cuts += reason is not None
        self._tell()

    def refuse(self, reason: str | None) -> None:
        """Refuse all changes from now on, as a Redis without memory does; None: take them."""
        self._refusal = reason

    def clear(self) -> None:
        """Forget everything, as a Redis that keeps its data in memory does when it is restarted."""
        self._topics.clear()
        self._locks.clear()
        self._alive.clear()

    @protected_block
    async def _open_link(self) -> AsyncGenerator[BusLink, None]:
        rt = runtime()
        await rt.checkpoint()
        if self._down is not None:
            raise LinkLost(self._down)
        yield _MemoryLink(self, rt)

    @property
    def _shown(self) -> str:
        return "memory"

    def _tell(self) -> None:
        for event in self._news:
            event.set()
        self._news.clear()

    def __repr__(self) -> str:
        return f"<MemoryBus with {len(self._topics)} journals>"


class _MemoryLink:
    """See `BusLink`."""

    def __init__(self, bus: MemoryBus, rt: Runtime) -> None:
        self._bus, self._rt, self._cuts = bus, rt, bus._cuts

    async def _do(self) -> None:
        await self._rt.checkpoint()
        if self._bus._down is not None or self._bus._cuts != self._cuts:
            raise LinkLost(self._bus._down or "the bus was cut")

    def _may_write(self) -> None:
        if self._bus._refusal is not None:
            raise Refused(f"the bus refuses: {self._bus._refusal}")

    async def now(self) -> int:
        await self._do()
        return _now()

    async def load(self, topic: str) -> bytes | None:
        await self._do()
        found = self._bus._topics.get(topic)
        return None if found is None else found.snapshot

    async def snapshot_size(self, topic: str) -> int:
        await self._do()
        found = self._bus._topics.get(topic)
        return len((found and found.snapshot) or b"")

    async def found(self, topic: str, entry: Entry, snapshot: bytes) -> bool:
        await self._do()
        self._may_write()
        there = self._bus._topics.get(topic)
        if there is not None and there.entries and there.snapshot is not None:
            return False
        self._bus._topics[topic] = _Topic(snapshot, [entry], place_of(entry.id))
        self._bus._tell()
        return True

    async def append(self, topic: str, fields: Mapping[bytes, bytes]) -> bytes | None:
        await self._do()
        self._may_write()
        found = self._bus._topics.get(topic)
        if found is None or not found.entries:
            return None
        entry_id = found.append(dict(fields))
        self._bus._tell()
        return entry_id

    async def read(self, topic: str, after: bytes, count: int) -> Page | None:
        await self._do()
        found = self._entries(topic, place_of(after))
        if not found or found.pop(0).id != after:
            return None
        size = 0
        for n, entry in enumerate(found):
            size += entry.size
            if n == count or (n and size > PAGE_BYTES):
                return Page(found[:n], True)
        return Page(found, False)

    def _entries(self, topic: str, since: tuple[int, int]) -> list[Entry]:
        found = self._bus._topics.get(topic)
        entries = () if found is None else found.entries
        return [entry for entry in entries if place_of(entry.id) >= since]

    async def wait(self, topic: str, after: bytes, count: int, seconds: float) -> Page:
        ms, count_of = place_of(after)
        next_to = (ms, count_of + 1)
        with self._rt.move_on_after(seconds):
            while True:
                await self._do()
                later = self._entries(topic, next_to)
                if later:
                    return Page(later[:count], len(later) >= count)
                event = self._rt.Event()
                self._bus._news.add(event)
                try:
                    await event.wait()
                finally:
                    self._bus._news.discard(event)
        return Page([], False)

    async def newest(self, topic: str) -> bytes | None:
        await self._do()
        found = self._bus._topics.get(topic)
        return None if found is None or not found.entries else found.entries[-1].id

    async def lock(self, topic: str, owner: bytes, seconds: float) -> bool:
        await self._do()
        self._may_write()
        if self._owner(topic) not in (owner, None):
            return False
        self._bus._locks[topic] = (owner, self._rt.current_time() + seconds)
        return True

    def _owner(self, topic: str) -> bytes | None:
        owner, until = self._bus._locks.get(topic, (None, 0.0))
        return owner if until > self._rt.current_time() else None

    async def unlock(self, topic: str, owner: bytes) -> None:
        await self._do()
        if self._owner(topic) == owner:
            del self._bus._locks[topic]

    async def compact(
        self, topic: str, owner: bytes, snapshot: bytes, at: bytes, keep: float
    ) -> bool:
        await self._do()
        self._may_write()
        found = self._bus._topics.get(topic)
        if found is None or not found.entries or self._owner(topic) != owner:
            return False
        found.snapshot = snapshot
        found.append({SNAPSHOT_FIELD: at})
        oldest = min(place_of(at), (int(_now() - keep * 1000), 0))
        found.entries = [entry for entry in found.entries if place_of(entry.id) >= oldest]
        del self._bus._locks[topic]
        self._bus._tell()
        return True

    async def beat(self, topic: str, member: bytes, seconds: float) -> None:
        await self._do()
        self._may_write()
        self._bus._alive[topic, member] = self._rt.current_time() + seconds

    async def silent(self, topic: str, members: Iterable[bytes]) -> list[bytes]:
        await self._do()
        alive, now = self._bus._alive, self._rt.current_time()
        return [one for one in members if alive.get((topic, one), now) <= now]


def _now() -> int:
    """The clock of the ids, in milliseconds."""
    return time.time_ns() // 1_000_000
