"""Where one task waits for another: a bounded box of payloads.

It does not hand over. An item lies in the box until the task that returns it takes it, in sync
code; waiters only park. So no cancellation, of either library, can lose an item on its way.

An inbox is filled by a link's reader and emptied by ``recv``; an outbox is filled by ``send`` and
emptied by the link's writer, and an item counts until it has been written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence, Sized
from threading import get_ident
from typing import Any, Generic, Protocol, TypeVar

from .._errors import VuerError, renew
from .._home import Home
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import Prepared

__all__ = ["Bounds", "Queue", "Waiter", "settle"]

T = TypeVar("T", bound=Sized)  # its length is in bytes
#: bytes of memory, about, that a message takes beside its own: most of what a small one takes
_EACH = 512


class Waiter:
    """A caller that waits for a slot, in the order of arrival; or the item itself does."""

    __slots__ = ("event", "granted", "item", "size")

    def __init__(self, event: Any, size: int, item: Any = None) -> None:
        #: set when there is room, and when the box is closed
        self.event: Any = event
        self.size: int = size
        self.item: Any = item
        #: whether there was room: the slot is the caller's, or the item is in the box
        self.granted: bool = False


class Bounds(Protocol):
    """How much a box holds."""

    @property
    def capacity(self) -> int:
        """In items."""

    @property
    def max_bytes(self) -> int:
        """In bytes of the items."""


@protected_methods
class Queue(Generic[T]):
    """There is room while ``count < capacity`` and ``bytes < max_bytes``.

    One item may overshoot the bytes, so that none is too large forever. The hot paths read the
    attributes themselves; only the box changes them. The boxes of ``dropping.py`` are never full.
    """

    __slots__ = (
        "_arrival",
        "_drained",
        "_held",
        "_rt",
        "_waiting",
        "bytes",
        "closed",
        "dropped",
        "dropped_since",
        "has_consumer",
        "home",
        "idle_writer",
        "ignores_count",
        "items",
        "owner",
        "policy",
        "shared",
        "stops",
        "write_through",
    )

    def __init__(self, rt: Runtime | None, policy: Bounds, *, has_consumer: bool = True) -> None:
        self._rt = rt
        self.policy: Bounds = policy
        self.items: deque[T] = deque()
        #: of the items, of what is being written, and of what has been promised
        self.bytes: int = 0
        #: of these bytes, those of framed messages, which other boxes may hold as well
        self.shared: int = 0
        #: the thread that may put: of its loop; none once it is closed, or in a forked process
        self.owner: int = get_ident()
        self.home: Home | None = None
        #: what a closed box raises
        self.closed: VuerError | None = None
        #: whether anybody takes. If not the box keeps the newest, so that a program that only
        #: sends does not stop its own reader
        self.has_consumer: bool = has_consumer
        #: whether one that is full stops the reader even so, for the time being
        self.stops: bool = False
        #: whether somebody waits for what comes behind the items; see `ignore_count`
        self.ignores_count: bool = False
        #: items dropped so far, and since the last one taken
        self.dropped: int = 0
        self.dropped_since: int = 0
        #: what writes one item at once instead, if the writer sleeps (`idle_writer`) and nothing
        #: has been written since the loop last turned (`write_through`)
        self.idle_writer: Callable[[T], bool] | None = None
        self.write_through: Callable[[T], bool] | None = None
        self._held = 0  # slots of what is being written or promised
        self._waiting: deque[Waiter] = deque()
        self._arrival: Any = None
        self._drained: Any = None

    # ---- state

    @property
    def count(self) -> int:
        """Items in the box, being written, or promised."""
        return len(self.items) + self._held

    @property
    def has_room(self) -> bool:
        """Whether an item can be put without waiting, and without overtaking who waits."""
        return (
            len(self.items) + self._held < self.policy.capacity
            and self.bytes < self.policy.max_bytes
            and not self._waiting
        )

    @property
    def full(self) -> bool:
        """Whether whoever fills the box is to stop."""
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
        """While ``urgent``, only bytes make the box full: a reply may be behind what is in it.

        What an item costs in memory beside its bytes counts then, too: who waits may wait for
        ever, and the smallest items cost fifty times their bytes.
        """
        self.ignores_count = ignores_count
        if self._drained is not None and not self.full:
            self._drained.set()
            self._drained = None

    @property
    def awaited(self) -> bool:
        """Whether somebody parks in `drained`."""
        return self._drained is not None

    def close(self, error: VuerError) -> None:
        """Nothing more goes in; what is in can be taken. The first error stays."""
        if self.closed is None:
            self.closed = error
            self.owner = 0
            self.idle_writer = self.write_through = None
            waiting, self._waiting = self._waiting, deque()
            for waiter in waiting:
                waiter.event.set()
        self.wake()

    def clear(self) -> None:
        """Throw away what is in."""
        self.bytes -= sum(map(len, self.items))
        self._unshare(self.items)
        self.items.clear()
        self._notice_room()

    def refusal(self) -> BaseException:
        """What to raise for who is not the `owner`."""
        if self.home is not None and self.home.forked:
            return self.home.refusal()
        if self.closed is not None:
            return renew(self.closed)
        if self.home is None:
            return RuntimeError("this belongs to the event loop of another thread")
        return self.home.refusal()

    # ---- putting

    def offer_shared(self, item: T) -> bool:
        """As `offer`, a framed message that other boxes may hold as well."""
        if not self.offer(item):
            return False
        self.shared += len(item)
        return True

    def offer_asleep(self, item: T) -> bool:
        """As `offer_shared`, but let the writer sleep: it goes with whatever wakes it next."""
        arrival, self._arrival = self._arrival, None
        try:
            return self.offer_shared(item)
        finally:
            self._arrival = arrival
            self.idle_writer = self.write_through = None  # which would overtake it

    def offer(self, item: T) -> bool:
        """Put an item in if there is room, and say whether: `has_room` and `put` in one step."""
        policy = self.policy
        if (
            len(self.items) + self._held >= policy.capacity
            or self.bytes >= policy.max_bytes
            or self._waiting
        ):
            return False
        self.items.append(item)
        self.bytes += len(item)
        if self._arrival is not None:
            self.wake()
        return True

    def put(self, item: T) -> None:
        """Put an item in. Only after `has_room` said so."""
        self.items.append(item)
        self.bytes += len(item)
        if self._arrival is not None:
            self.wake()

    def extend(self, items: Sequence[T]) -> None:
        """Put in what the reader has read already. A box that stops nobody drops the oldest."""
        self.items.extend(items)
        self.bytes += sum(map(len, items))
        if not (self.has_consumer or self.stops):
            policy = self.policy
            while len(self.items) > policy.capacity or (
                self.bytes > policy.max_bytes and len(self.items) > 1
            ):
                self.bytes -= len(self.items.popleft())
                self.dropped += 1
                self.dropped_since += 1
        if self._arrival is not None:
            self.wake()

    async def reserve(self, size: int = 0) -> None:
        """Wait for a slot, and own it until `put_reserved` or `give_back`.

        ``size`` is that of the item to come, if it is known. Raises what closes the box.
        Cancelled: the slot, if it was granted already, has been given back.
        """
        if self.closed is None and not self.has_room:
            assert self._rt is not None
            waiter = Waiter(self._rt.Event(), size)
            self._waiting.append(waiter)
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
        """Put items in a reserved slot. Raises what closes the box; the slot is gone anyway."""
        self._held -= 1
        self.bytes -= size
        if self.closed is not None:
            raise renew(self.closed)
        for item in items:
            self.put(item)
        self._grant()  # the item may be smaller than what was promised

    def give_back(self, size: int = 0) -> None:
        """Give a slot back unused."""
        self._held -= 1
        self.bytes -= size
        self._grant()

    def _grant(self) -> None:
        policy = self.policy
        while (
            self._waiting
            and len(self.items) + self._held < policy.capacity
            and self.bytes < policy.max_bytes
        ):
            waiter = self._waiting.popleft()
            waiter.granted = True
            if waiter.item is None:
                self._held += 1
                self.bytes += waiter.size
            else:
                self.put(waiter.item)
                if type(waiter.item) is Prepared:
                    self.shared += waiter.size
            waiter.event.set()

    def put_later(self, item: T) -> Waiter:
        """Have an item put in as soon as there is room for it, behind all who wait already.

        Only of an open box, and after `offer` said no. Nobody need wait for the ticket.
        """
        assert self._rt is not None
        waiter = Waiter(self._rt.Event(), len(item), item)
        self._waiting.append(waiter)
        return waiter

    def withdraw(self, waiter: Waiter) -> bool:
        """Take back a ticket that has not been granted; whether it was still waiting."""
        if waiter.granted or self.closed is not None:
            return False
        self._waiting.remove(waiter)
        return True

    # ---- taking

    def pop(self) -> T:
        """Take the oldest item. Raises IndexError."""
        item = self.items.popleft()
        self.bytes -= len(item)
        if self._drained is not None and len(self.items) <= self.policy.capacity // 2:
            self._notice_room()
        return item

    def take(self, limit: int) -> list[T]:
        """Take items up to about ``limit`` bytes; they count until `written`."""
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
        """The items of a `take` are done with; their ``size``, if the caller knows it."""
        self._held -= len(batch)
        self.bytes -= sum(map(len, batch)) if size is None else size
        if self.shared:
            self._unshare(batch)
        if self._waiting:
            self._grant()

    def _unshare(self, items: Iterable[Any]) -> None:
        if self.shared:
            self.shared -= sum(len(item) for item in items if type(item) is Prepared)

    def put_back(self, batch: Sequence[T]) -> None:
        """The items of a `take` are to be taken again, before all others."""
        self._held -= len(batch)
        self.items.extendleft(reversed(batch))
        self.wake()

    def put_first(self, items: Sequence[T]) -> None:
        """Put items in before all others, whether there is room or not."""
        self.bytes += sum(map(len, items))
        self.items.extendleft(reversed(items))
        self.wake()

    async def arrival(self) -> None:
        """Park until there may be something to take. Cancelled: nothing has changed."""
        if self._arrival is None:
            assert self._rt is not None
            self._arrival = self._rt.Event()
        await self._arrival.wait()

    def wake(self) -> None:
        """Wake who parks in `arrival`."""
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None
            self.idle_writer = self.write_through = None

    async def drained(self) -> None:
        """Park until the box is half empty. Cancelled: nothing has changed."""
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
    """The home of a connection's boxes: this loop. In a forked child nobody may put."""

    def leave() -> None:
        outbox.owner = 0

    home = inbox.home = outbox.home = Home(rt, f"the connection to {uri}", leave)
    return home
