"""Queues that are never full: what is too much is dropped, and counted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import Ping
from .queue import Bounds, Queue

__all__ = ["DiscardingQueue", "Keyed", "KeyedQueue", "LossyQueue", "Shelf"]

T = TypeVar("T", bound=Sized)  # its length is in bytes


class Keyed(bytes):
    """A payload that knows its key."""

    key: Hashable


@protected_methods
class LossyQueue(Queue[T]):
    """What has waited longest makes room for what is new.

    The bounds are of what waits. What is being written and pings count for nothing and are never
    dropped, and the newest message is kept however large it is.
    """

    __slots__ = ("_exempt", "_pings")

    has_room = True
    full = False

    def __init__(self, rt: Runtime | None, policy: Bounds, *, has_consumer: bool = True) -> None:
        super().__init__(rt, policy, has_consumer=has_consumer)
        self._pings = 0  # among the items
        self._exempt = 0  # bytes of pings, and of what is being written

    def clear(self) -> None:
        pings = [item for item in self.items if type(item) is Ping]
        super().clear()
        self._pings -= len(pings)
        self._exempt -= sum(map(len, pings))

    def offer(self, item: T) -> bool:
        self.put(item)
        return True

    def offer_broadcast(self, item: T) -> bool:
        if self.closed is None:
            self.put(item)
        return True

    def put(self, item: T) -> None:
        if type(item) is Ping:
            self._pings += 1
            self._exempt += len(item)
        self._add(item)
        self._trim()
        if self._arrival is not None:
            self.wake()

    def put_first(self, items: Sequence[T]) -> None:
        """Pings, when a link opens."""
        self._pings += len(items)
        self._exempt += sum(map(len, items))
        super().put_first(items)

    def extend(self, items: Sequence[T]) -> None:
        for item in items:
            self._add(item)
        self._trim()
        if self._arrival is not None:
            self.wake()

    def take(self, limit: int) -> list[T]:
        batch = super().take(limit)
        if self._pings:
            messages = [item for item in batch if type(item) is not Ping]
            self._pings -= len(batch) - len(messages)
            self._exempt += sum(map(len, messages))
        else:
            self._exempt += sum(map(len, batch))
        return batch

    def written(self, batch: list[T], size: int | None = None) -> None:
        self._exempt -= sum(map(len, batch)) if size is None else size
        super().written(batch, size)

    def _add(self, item: T) -> None:
        self.items.append(item)
        self.bytes += len(item)

    def _trim(self) -> None:
        policy = self.policy
        while (count := len(self.items) - self._pings) > 1 and (
            count > policy.capacity or self.bytes - self._exempt > policy.max_bytes
        ):
            self._drop(self._pop_oldest())

    def _drop(self, item: T) -> None:
        self.bytes -= len(item)
        self.dropped += 1
        self.dropped_since += 1

    def _pop_oldest(self) -> T:
        """Remove the oldest item that is not a ping."""
        items = self.items
        place = next(n for n, item in enumerate(items) if type(item) is not Ping)
        item = items[place]
        del items[place]
        return item


@protected_methods
class KeyedQueue(LossyQueue[T]):
    """The newest of each key. An item without a ``key`` has one of its own."""

    __slots__ = ()

    # All of a deque that a queue calls; found by key as well.
    items: Shelf[T]  # type: ignore[assignment]

    def __init__(self, rt: Runtime | None, policy: Bounds, *, has_consumer: bool = True) -> None:
        super().__init__(rt, policy, has_consumer=has_consumer)
        self.items = Shelf()

    def find(self, key: Hashable) -> T | None:
        """The item with this key."""
        return self.items.by_key.get(key)

    def _add(self, item: T) -> None:
        key = getattr(item, "key", _NONE)
        if key is _NONE:
            key = object()
        by_key = self.items.by_key
        replaced = by_key.pop(key, None)
        if replaced is not None:
            self._drop(replaced)
        by_key[key] = item
        self.bytes += len(item)

    def _pop_oldest(self) -> T:
        by_key = self.items.by_key
        return by_key.pop(next(key for key, item in by_key.items() if type(item) is not Ping))


@protected_methods
class Shelf(Generic[T]):
    """Items in the order in which they came, each to be found by its key."""

    __slots__ = ("by_key",)

    def __init__(self) -> None:
        # Not a dict: the first of a dict is the slower to find, the more have gone before it.
        self.by_key: OrderedDict[Hashable, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self.by_key)

    def __iter__(self) -> Iterator[T]:
        return iter(self.by_key.values())

    def __getitem__(self, place: int) -> T:
        assert place == 0
        return next(iter(self))

    def extendleft(self, items: Iterable[T]) -> None:
        for item in items:
            key = object()
            self.by_key[key] = item
            self.by_key.move_to_end(key, last=False)

    def popleft(self) -> T:
        if not self.by_key:
            raise IndexError("the queue is empty")
        return self.by_key.popitem(last=False)[1]

    def pop(self) -> T:
        return self.by_key.popitem()[1]

    def clear(self) -> None:
        self.by_key.clear()


@protected_methods
class DiscardingQueue(Queue[T]):
    """Everything is dropped, but pings."""

    __slots__ = ()

    has_room = True
    full = False

    def offer(self, item: T) -> bool:
        self.put(item)
        return True

    def offer_broadcast(self, item: T) -> bool:
        return self.offer(item)

    def put(self, item: T) -> None:
        if type(item) is Ping:
            super().put(item)
        else:
            self.dropped += 1

    def extend(self, items: Sequence[T]) -> None:
        self.dropped += len(items)

    # Nothing may be written past the queue.
    @property
    def write_through(self) -> None:
        return None

    @write_through.setter
    def write_through(self, write: object) -> None:
        pass


_NONE: Any = object()
