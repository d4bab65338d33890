"""The outbox of `Latest`: of each node of a scene the newest waits, in the place of the older.

An UPSERT or UPDATE that waits takes in a later one of the same nodes, if nothing between the two
has to do with these. So the scene that comes out, and the order of new nodes in it, is that which
all events in turn would have made; at each ping of a flush, too. Where that is not certain, both
are kept. SET, ADD, REMOVE and requests are never touched. (One thing is taken for granted: that
the slots of the scene's root are lists, as they are on a page unless a SET says otherwise.)

Nothing is read of a message that finds nothing waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import LARGE, Ping
from .lossy_queue import Shelf
from .queue import Queue
from .scene_effect import VERBS, Effect, Verb, effect_of, merged

__all__ = ["SceneQueue"]

#: messages that must not be lost, for which there is room at least: as a server's `Fifo` has it
_FIRM = 65_536


@dataclass(frozen=True, slots=True)
class _Room:
    capacity: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where the newest event of a type lies on the shelf; the others lie at their numbers."""

    key: Hashable


@protected_methods
class SceneQueue(Queue[bytes]):
    """What must not be lost is *firm*, and waits in order; there is room for some of it, as in a
    `Fifo`. Other events are kept too, or, with a ``key``, the newest of each: never without room.

    The bounds are of what waits. What is being written counts for nothing.
    """

    __slots__ = (
        "_effects",
        "_keeps_others",
        "_last",
        "_loose",
        "_loose_bytes",
        "_max_keys",
        "_newest",
        "_next",
        "_parented",
        "_unread",
        "_writing",
        "_writing_bytes",
    )

    # All of a deque that a queue calls; found by key as well.
    items: Shelf[bytes]  # type: ignore[assignment]

    def __init__(
        self, rt: Runtime | None, max_keys: int, max_bytes: int, *, keeps_others: bool
    ) -> None:
        super().__init__(rt, _Room(max(max_keys, _FIRM), max_bytes))
        self.items = Shelf()
        self._max_keys = max_keys
        self._keeps_others = keeps_others
        self._next = 0  # the number of the next firm item
        #: the newest of their kind, which may be dropped: how many wait, and their bytes
        self._loose = 0
        self._loose_bytes = 0
        #: what is being written
        self._writing = 0
        self._writing_bytes = 0
        # Of the firm items behind the last one that concerns every node:
        self._unread: deque[int] = deque()  # those of which it is not known what they do
        self._effects: dict[int, Effect] = {}
        self._last: dict[Hashable, int] = {}  # by a node's key, who touched it last
        self._newest = -1  # the last one that has to do with any node
        self._parented = -1  # the last one whose place is under another node

    # ---- state

    def _fits(self) -> bool:
        count = len(self.items) + self._held - self._loose - self._writing
        size = self.bytes - self._loose_bytes - self._writing_bytes
        return count < self.policy.capacity and size < self.policy.max_bytes

    @property
    def has_room(self) -> bool:
        return not self._waiting and self._fits()

    # ---- putting

    def offer(self, item: bytes) -> bool:
        if self._kind(item) is None and not self.has_room:
            # It may still take the place of another, but not overtake who waits for room.
            if self._waiting or not self._replaces(item):
                return False
            self.wake()
            return True
        self.put(item)
        return True

    def offer_broadcast(self, item: bytes) -> bool:
        return self.closed is not None or self.offer(item)

    def put(self, item: bytes) -> None:
        kind = self._kind(item)
        if kind is not None:
            self._put_loose(kind, item)
        elif type(item) is Ping:
            self._append(item)
            self._unread.clear()
            self._forget()  # whoever waits for the answer knows what has been read by then
        elif not self.items.by_key:
            self._unread.append(self._append(item))
        elif not self._replaces(item):
            self._note(self._append(item), effect_of(item))
        if self._arrival is not None:
            self.wake()

    def extend(self, items: Sequence[bytes]) -> None:
        for item in items:
            self.put(item)

    def _kind(self, item: bytes) -> _Kind | None:
        if self._keeps_others:
            return None
        key = getattr(item, "key", None)
        return None if key is None or (type(key) is str and key in VERBS) else _Kind(key)

    def _append(self, item: bytes) -> int:
        number = self._next
        self._next += 1
        self.items.by_key[number] = item
        self.bytes += len(item)
        return number

    def _put_loose(self, kind: _Kind, item: bytes) -> None:
        by_key = self.items.by_key
        if kind in by_key:
            self._drop(kind)
        by_key[kind] = item
        self._count_loose(1, len(item))
        self.bytes += len(item)
        while self._loose > 1 and (
            self._loose > self._max_keys or self._loose_bytes > self.policy.max_bytes
        ):
            self._drop(next(key for key in by_key if type(key) is _Kind))

    def _drop(self, kind: _Kind) -> None:
        item = self.items.by_key.pop(kind)
        self._count_loose(-1, -len(item))
        self.bytes -= len(item)
        self.dropped += 1
        self.dropped_since += 1

    def _count_loose(self, count: int, size: int) -> None:
        self._loose += count
        self._loose_bytes += size

    # ---- replacing

    def _replaces(self, item: bytes) -> bool:
        """Have an item taken in by those that wait; False if that cannot be, or not certainly."""
        effect = effect_of(item)
        self._read()
        if not effect.overwrites:
            return False
        targets: dict[int, list[Hashable]] = {}
        for key in effect.parts:
            number = self._target(key, effect)
            if number is None:
                return False
            targets.setdefault(number, []).append(key)
        if not targets:  # it names no node
            return False
        for number, keys in targets.items():
            old: bytes = self.items.by_key[number]
            if len(targets) == 1 and effect.covers(self._effects[number]):
                self._put_at(number, old, item, effect)
            else:
                new = merged(old, item, keys)
                self._put_at(number, old, new, effect_of(new))
        self.replaced += 1
        return True

    def _put_at(self, number: int, old: bytes, new: bytes, effect: Effect) -> None:
        self.items.by_key[number] = new
        self.bytes += len(new) - len(old)
        was, self._effects[number] = self._effects[number], effect
        if was.nested or effect.nested:
            self._erase(number, was)
            self._touch(number, effect)

    def _target(self, key: Hashable, effect: Effect) -> int | None:
        """The one that waits and may take in what ``effect`` says of a node."""
        last = self._last
        number = last.get(key, -1)
        old = self._effects.get(number)
        if old is None or not old.overwrites or key not in old.parts or old.to != effect.to:
            return None
        if old.verb is not effect.verb and (old.verb is Verb.UPDATE or old.to is not None):
            return None  # an UPDATE finds what an UPSERT has just found, or made, anywhere
        if effect.parent is not None and last.get(effect.parent, -1) > number:
            return None
        if effect.slots and len(old.parts) > 1:
            return None
        if effect.slots and number != self._newest:
            # It takes away what hangs there. Only what has taken that away already may do so.
            if (
                not effect.slots <= old.slots
                or self._parented > number
                or effect.parent is not None
            ):
                return None
            if any(last.get(inner, -1) > number for inner in effect.nested | old.nested):
                return None
        return number

    def _read(self) -> None:
        """Find out what those do that came when nothing waited."""
        unread, by_key = self._unread, self.items.by_key
        while unread:
            number = unread.popleft()
            self._note(number, effect_of(by_key[number]))

    def _note(self, number: int, effect: Effect) -> None:
        """It is the last in the line."""
        if effect.verb is Verb.NONE:
            return
        if effect.verb is Verb.ALL:
            return self._forget()
        if effect.slots and effect.overwrites:
            self._forget()  # it may take away any node
        self._effects[number] = effect
        self._touch(number, effect)
        self._newest = number
        if effect.parent is not None:
            self._parented = number

    def _touch(self, number: int, effect: Effect) -> None:
        for key in effect.touched:
            self._last[key] = number

    def _erase(self, number: int, effect: Effect) -> None:
        for key in effect.touched:
            if self._last.get(key) == number:
                del self._last[key]

    def _forget(self) -> None:
        """Nothing of what is known to wait may take in what comes."""
        self._effects.clear()
        self._last.clear()

    # ---- taking

    def pop(self) -> bytes:
        batch = self.take(1)
        if not batch:
            raise IndexError("the queue is empty")
        self.written(batch)
        return batch[0]

    def take(self, limit: int) -> list[bytes]:
        """As `Queue.take`, but not more than needed: what waits can still be replaced."""
        by_key, batch = self.items.by_key, []
        limit = min(limit, LARGE)
        size = 0
        while by_key and size < limit:
            number, item = by_key.popitem(last=False)
            batch.append(item)
            size += len(item)
            self._has_gone(number, item)
        self._held += len(batch)
        self._writing += len(batch)
        self._writing_bytes += size
        if self._waiting:
            self._grant()
        return batch

    def _has_gone(self, number: Hashable, item: bytes) -> None:
        if type(number) is _Kind:
            self._count_loose(-1, -len(item))
        elif self._unread and self._unread[0] == number:
            self._unread.popleft()
        elif type(number) is int and (effect := self._effects.pop(number, None)) is not None:
            self._erase(number, effect)

    def written(self, batch: list[bytes], size: int | None = None) -> None:
        self._writing -= len(batch)
        self._writing_bytes -= sum(map(len, batch)) if size is None else size
        super().written(batch, size)

    def put_back(self, batch: Sequence[bytes]) -> None:
        self._writing -= len(batch)
        self._writing_bytes -= sum(map(len, batch))
        super().put_back(batch)

    def clear(self) -> None:
        super().clear()
        self._unread.clear()
        self._forget()
        self._loose = self._loose_bytes = 0

    def withdraw_ping(self, ping: bytes) -> None:
        """What is behind it may be taken in by what is before it: all of that is put anew."""
        by_key = self.items.by_key
        numbers = list(by_key)
        pings = (n for n, item in by_key.items() if type(item) is Ping and item == ping)
        number = next(pings, None)
        if number is None:
            return
        behind = [(n, by_key.pop(n)) for n in numbers[numbers.index(number) + 1 :]]
        self.bytes -= len(by_key.pop(number))
        for n, item in behind:
            self.bytes -= len(item)
            if type(n) is _Kind:
                self._count_loose(-1, -len(item))
        self._forget()
        self._unread = deque(self._behind_last_ping())
        self.extend([item for _, item in behind])

    def _behind_last_ping(self) -> list[int]:
        numbers: list[int] = []
        for number, item in self.items.by_key.items():
            if type(item) is Ping:
                numbers.clear()
            elif type(number) is int:
                numbers.append(number)
        return numbers
