"""A bounded queue of payloads.

Items are not handed over to waiting tasks: waiters only park, and an item stays in the queue until
the task that returns it takes it, in sync code. So no cancellation, on Trio or asyncio, can lose an
item.

An inbox is filled by a link's reader and emptied by ``recv``; an outbox is filled by ``send`` and
emptied by the link's writer, and an item counts until it has been written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence, Sized
from enum import Enum, auto
from functools import partial
from threading import get_ident
from typing import Any, Generic, Protocol, TypeVar

from .._errors import VuerError, renew
from .._home import Home
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import LARGE, Ping
from .send_window import InFlight

__all__ = ["Bounds", "Queue", "Waiter", "settle"]

T = TypeVar("T", bound=Sized)  # the length is in bytes
#: approximate memory overhead of a message in bytes, most of the memory of a small one
_EACH = 512


class _Wakes(Enum):
    """When the writer is woken."""

    AT_ONCE = auto()
    #: at the end of this step, if need be
    LATER = auto()
    #: at the end of this step
    DUE = auto()


class Waiter:
    """A caller, or an item itself, that waits for a slot, in the order of arrival."""

    __slots__ = ("event", "granted", "item", "size")

    def __init__(self, event: Any, size: int, item: Any = None) -> None:
        #: set when there is room, and when the queue is closed
        self.event: Any = event
        self.size: int = size
        self.item: Any = item
        #: whether room was found: the caller owns a slot, or the item is in the queue
        self.granted: bool = False


class Bounds(Protocol):
    """The limits of a queue."""

    @property
    def capacity(self) -> int:
        """Maximum number of items."""

    @property
    def max_bytes(self) -> int:
        """Maximum size of the items in bytes."""


@protected_methods
class Queue(Generic[T]):
    """There is room while ``count < capacity`` and ``bytes < max_bytes``.

    One item may exceed the byte limit, so that no item is too large to be queued. Hot paths read
    the attributes directly; only the queue changes them. The queues in ``lossy_queue.py`` are never
    full.
    """

    __slots__ = (
        "_arrival",
        "_capacity",
        "_drained",
        "_held",
        "_max_bytes",
        "_rt",
        "_waiting",
        "_wakes",
        "_woken",
        "bytes",
        "closed",
        "dropped",
        "dropped_since",
        "has_consumer",
        "home",
        "idle_writer",
        "ignores_count",
        "in_flight",
        "items",
        "owner",
        "policy",
        "replaced",
        "stops",
        "write_through",
    )

    def __init__(self, rt: Runtime | None, policy: Bounds, *, has_consumer: bool = True) -> None:
        self._rt = rt
        self.policy: Bounds = policy
        self._capacity, self._max_bytes = policy.capacity, policy.max_bytes
        self.items: deque[T] = deque()
        #: bytes of the items, of those being written, and of reserved slots
        self.bytes: int = 0
        #: the thread that may put items, that of its loop; invalid once closed, or in a fork
        self.owner: int = get_ident()
        self.home: Home | None = None
        #: the error that a closed queue raises
        self.closed: VuerError | None = None
        #: of an outbox: the limit of what may be on its way, see `SendWindow`
        self.in_flight: InFlight = None
        #: whether anything takes items. If not, the queue keeps the newest, so that a program that
        #: only sends does not stop its own reader
        self.has_consumer: bool = has_consumer
        #: whether a full queue temporarily stops the reader even without a consumer
        self.stops: bool = False
        #: whether something behind the items is awaited; see `ignore_count`
        self.ignores_count: bool = False
        #: items dropped so far, and since the last one taken
        self.dropped: int = 0
        self.dropped_since: int = 0
        #: items replaced by a later one that includes all their changes
        self.replaced: int = 0
        #: writes one item directly if the writer is idle (`idle_writer`) and nothing has been
        #: written in this turn of the loop (`write_through`)
        self.idle_writer: Callable[[T], bool] | None = None
        self.write_through: Callable[[T], bool] | None = None
        self._wakes = _Wakes.AT_ONCE
        self._woken: Callable[[T], bool] | None = None  # what `idle_writer` was before `DUE`
        self._held = 0  # slots of items being written, and reserved slots
        self._waiting: deque[Waiter] | None = None  # from the first waiter on
        self._arrival: Any = None
        self._drained: Any = None

    # ---- state

    @property
    def count(self) -> int:
        """The number of items in the queue or being written, and of reserved slots."""
        return len(self.items) + self._held

    @property
    def has_room(self) -> bool:
        """Whether an item can be put without waiting, and without overtaking a waiter."""
        return (
            len(self.items) + self._held < self.policy.capacity
            and self.bytes < self.policy.max_bytes
            and not self._waiting
        )

    @property
    def full(self) -> bool:
        """Whether the task that fills it must stop."""
        policy, count, size = self.policy, len(self.items), self.bytes
        if size < policy.max_bytes:
            if count < policy.capacity:
                return False
            if self.ignores_count and size + count * _EACH < policy.max_bytes:
                return False
        return self.has_consumer or self.stops

    @property
    def is_half_empty(self) -> bool:
        """Whether at least half of the room is left."""
        policy = self.policy
        return self.count <= policy.capacity // 2 and self.bytes <= policy.max_bytes // 2

    def ignore_count(self, ignores_count: bool) -> None:
        """While ``ignores_count``, only bytes make it full: a reply may be behind its items.

        The memory overhead of items counts as bytes then: the wait may last forever, and the
        smallest items take fifty times their own size.
        """
        self.ignores_count = ignores_count
        if self._drained is not None and not self.full:
            self._drained.set()
            self._drained = None

    @property
    def awaited(self) -> bool:
        """Whether a task is parked in `drained`."""
        return self._drained is not None

    def close(self, error: VuerError) -> None:
        """Refuse new items with ``error``; those inside can be taken. The first error stays."""
        if self.closed is None:
            self.closed = error
            self.owner = self._capacity = 0  # so that `offer` does not find room
            self.idle_writer = self.write_through = self._woken = None
            waiting, self._waiting = self._waiting, None
            for waiter in waiting or ():
                waiter.event.set()
        self.wake()

    def clear(self) -> None:
        """Discard all items."""
        self.bytes -= sum(map(len, self.items))
        self.items.clear()
        self._notice_room()

    def refusal(self) -> BaseException:
        """The error for a caller that is not the `owner`."""
        if self.home is not None and self.home.forked:
            return self.home.refusal()
        if self.closed is not None:
            return renew(self.closed)
        if self.home is None:
            return RuntimeError("this belongs to the event loop of another thread")
        return self.home.refusal()

    # ---- putting

    def offer_broadcast(self, item: T) -> bool:
        """Like `offer`, but a closed queue takes the item, and discards it.

        The lines are those of `offer`: a broadcast calls this for each session.
        """
        if (
            len(self.items) + self._held >= self._capacity
            or self.bytes >= self._max_bytes
            or self._waiting
        ):
            return self.closed is not None
        self.items.append(item)
        self.bytes += len(item)
        if self._arrival is not None:
            self.wake()
        return True

    def offer_asleep(self, item: T) -> bool:
        """Like `offer_broadcast`, but without waking the writer: it is sent with the next item."""
        arrival, self._arrival = self._arrival, None
        try:
            return self.offer_broadcast(item)
        finally:
            self._arrival = arrival
            self.idle_writer = self.write_through = None  # a direct write would overtake it

    def offer(self, item: T) -> bool:
        """Put an item if there is room, and return whether it was put."""
        if (
            len(self.items) + self._held >= self._capacity
            or self.bytes >= self._max_bytes
            or self._waiting
        ):
            return False
        self.items.append(item)
        self.bytes += len(item)
        if self._arrival is not None:
            self.wake()
        return True

    def put(self, item: T) -> None:
        """Put an item. Only valid while `has_room` is true."""
        self.items.append(item)
        self.bytes += len(item)
        if self._arrival is not None:
            self.wake()

    def extend(self, items: Sequence[T]) -> None:
        """Put items that were read already. Without a consumer, the oldest are dropped."""
        self.items.extend(items)
        self.bytes += sum(map(len, items))
        if not (self.has_consumer or self.stops):
            self._drop_oldest()
        if self._arrival is not None:
            self.wake()

    def _drop_oldest(self) -> None:
        items, policy = self.items, self.policy
        capacity, max_bytes, size, before = (
            policy.capacity,
            policy.max_bytes,
            self.bytes,
            len(items),
        )
        while len(items) > capacity or (size > max_bytes and len(items) > 1):
            size -= len(items.popleft())
        self.bytes = size
        self.dropped += before - len(items)
        self.dropped_since += before - len(items)

    async def reserve(self, size: int = 0) -> None:
        """Wait for a slot, and own it until `put_reserved` or `give_back`.

        ``size`` is the size of the item to come, if known. Raises the error of a closed queue.
        Cancelled: no slot is taken.
        """
        if self.closed is None and not self.has_room:
            assert self._rt is not None
            waiter = self._wait_in_line(Waiter(self._rt.Event(), size))
            try:
                await waiter.event.wait()
            except BaseException:
                if waiter.granted:
                    self.give_back(size)
                else:
                    self.withdraw(waiter)
                raise
            if waiter.granted and self.closed is None:
                return
            if waiter.granted:
                self.give_back(size)
        if self.closed is not None:
            raise renew(self.closed)
        self._held += 1
        self.bytes += size

    def put_reserved(self, items: Iterable[T], size: int = 0) -> None:
        """Put items in a reserved slot, which is used up even if a closed queue raises."""
        self._held -= 1
        self.bytes -= size
        if self.closed is not None:
            raise renew(self.closed)
        for item in items:
            self.put(item)
        self._grant()  # the items may be smaller than reserved

    def give_back(self, size: int = 0) -> None:
        """Return an unused slot."""
        self._held -= 1
        self.bytes -= size
        self._grant()

    def _fits(self) -> bool:
        """Whether there is room, regardless of waiters."""
        policy = self.policy
        return len(self.items) + self._held < policy.capacity and self.bytes < policy.max_bytes

    def _grant(self) -> None:
        while self._waiting and self._fits():
            waiter = self._waiting.popleft()
            waiter.granted = True
            if waiter.item is None:
                self._held += 1
                self.bytes += waiter.size
            else:
                self.put(waiter.item)
            waiter.event.set()

    def put_later(self, item: T) -> Waiter:
        """Put an item as soon as there is room for it, behind all current waiters.

        Only valid for an open queue, after `offer` returned False. The waiter need not be awaited.
        """
        assert self._rt is not None
        return self._wait_in_line(Waiter(self._rt.Event(), len(item), item))

    def _wait_in_line(self, waiter: Waiter) -> Waiter:
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(waiter)
        return waiter

    def withdraw(self, waiter: Waiter) -> bool:
        """Remove a waiter; return False if it has been granted already."""
        if waiter.granted or self._waiting is None:
            return False
        self._waiting.remove(waiter)
        return True

    def withdraw_ping(self, ping: T) -> None:
        """Its pong is no longer awaited. The default is to keep the ping: it does no harm."""

    # ---- taking

    def pop(self) -> T:
        """Take the oldest item. Raises IndexError."""
        item = self.items.popleft()
        self.bytes -= len(item)
        if self._drained is not None and len(self.items) <= self.policy.capacity // 2:
            self._notice_room()
        return item

    def pop_newest(self) -> T:
        """Take the newest item. Raises IndexError."""
        item = self.items.pop()
        self.bytes -= len(item)
        self._notice_room()
        return item

    def take(self, limit: int) -> list[T]:
        """Take items of about ``limit`` bytes; they count as held until `written`."""
        items = self.items
        if self.bytes <= limit:
            batch = list(items)
            items.clear()
        else:
            batch = []
            while items and limit > 0:
                item = items.popleft()
                limit -= len(item)
                batch.append(item)
        self._held += len(batch)
        return batch

    def written(self, batch: list[T], size: int | None = None) -> None:
        """Release the items of a `take`; ``size`` is their total, if the caller knows it."""
        if size is None:
            size = sum(map(len, batch))
        self._held -= len(batch)
        self.bytes -= size
        if self._waiting:
            self._grant()

    def put_back(self, batch: Sequence[T]) -> None:
        """Put the items of a `take` back, before all others."""
        self._held -= len(batch)
        self.items.extendleft(reversed(batch))
        self.wake()

    def put_first(self, items: Sequence[T]) -> None:
        """Put items before all others, whether there is room or not."""
        self.bytes += sum(map(len, items))
        self.items.extendleft(reversed(items))
        self.wake()

    async def arrival(self) -> None:
        """Park until there may be an item to take. Cancelled: nothing has changed."""
        if self._arrival is None:
            assert self._rt is not None
            self._arrival = self._rt.Event()
        await self._arrival.wait()

    def wake(self) -> None:
        """Wake the task parked in `arrival`."""
        if self._arrival is not None:
            if self._wakes is _Wakes.AT_ONCE:
                self._arrival.set()
                self._arrival = None
            elif self._wakes is _Wakes.LATER:
                self._wakes, self._woken = _Wakes.DUE, self.idle_writer
            self.idle_writer = self.write_through = None

    def wake_later(self) -> None:
        """Put off waking the writer until `wake_now`, which has to follow in this step."""
        self._wakes = _Wakes.LATER

    def wake_now(self) -> None:
        """Write what was put in since `wake_later`: a lone small message in this step, as the
        writer is idle, and more of them by waking the writer.
        """
        wakes, self._wakes = self._wakes, _Wakes.AT_ONCE
        if wakes is _Wakes.DUE:
            write, self._woken = self._woken, None
            if write is None or not self._write_lone(write):
                self.wake()
            elif self._arrival is not None:  # the system has taken all of it
                self.idle_writer = write

    def _write_lone(self, write: Callable[[T], bool]) -> bool:
        if len(self.items) != 1 or self._held or self.in_flight is not None:
            return False
        batch = self.take(1)
        if type(batch[0]) is Ping or len(batch[0]) >= LARGE or not write(batch[0]):
            self.put_back(batch)
            return False
        self.written(batch)
        return True

    async def drained(self) -> None:
        """Park until it is half empty. Cancelled: nothing has changed."""
        assert self._rt is not None
        while self.full:
            if self._drained is None:
                self._drained = self._rt.Event()
            await self._drained.wait()

    def _notice_room(self) -> None:
        policy = self.policy
        if (
            self._drained is not None
            and len(self.items) <= policy.capacity // 2
            and self.bytes <= policy.max_bytes // 2
        ):
            self._drained.set()
            self._drained = None


def settle(rt: Runtime, uri: str, inbox: Queue[Any], outbox: Queue[Any]) -> Home:
    """Bind a connection's queues to this loop. In a forked child, they refuse items."""
    on_fork = partial(setattr, outbox, "owner", 0)
    home = inbox.home = outbox.home = Home(rt, f"the connection to {uri}", on_fork)
    return home
