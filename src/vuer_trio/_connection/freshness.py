"""The newest event of each type, and leases on it.

An event counts from when it was read, before it enters the inbox. Nothing is polled: a lease is a
cancel scope whose deadline the reader moves forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar

from .._errors import ProtocolError, Stale
from .._formatting import must_be
from .._runtime import Runtime, runtime
from ..events import Event, canonical
from .lossy_queue import KeyedQueue
from .policies import Latest

if TYPE_CHECKING:
    from .._async_types import CancelScope

__all__ = ["Etypes", "Freshness", "Lease"]

E = TypeVar("E", bound=Event)

#: reads and bytes that are kept for the first query
_READS, _BYTES = 64, 65_536
_NEWEST = Latest()
#: an event type, or several of them
Etypes: TypeAlias = str | Sequence[str]


class _Seen(Generic[E]):
    """An event and the time when it was read, on the loop's clock."""

    __slots__ = ("at", "event", "key", "size")

    def __init__(self, event: E, key: Hashable, size: int, at: float) -> None:
        self.event, self.key, self.size, self.at = event, key, size, at

    def __len__(self) -> int:
        return self.size


class Freshness(Generic[E]):
    """The newest events that one side has read, kept across connections.

    Until the first query, it keeps the latest messages undecoded, at most ``reads`` reads and
    ``size`` bytes, so that programs that never query pay nothing for decoding. From then on it
    keeps the newest event of each type, within the bounds of ``newest``.
    """

    __slots__ = (
        "_bound", "_decode", "_leases", "_loop", "_newest", "_reads", "_recent", "_rt", "_size",
        "recent_bytes", "tracking",
    )  # fmt: skip

    def __init__(
        self,
        decode: Callable[[Any], E],
        *,
        reads: int = _READS,
        size: int = _BYTES,
        newest: Latest = _NEWEST,
    ) -> None:
        self.tracking: bool = False
        #: bytes of the messages kept for the first query
        self.recent_bytes: int = 0
        self._decode = decode
        self._reads, self._size, self._bound = reads, size, newest
        self._recent: list[tuple[float, int, Sequence[Any]]] = []
        self._newest: KeyedQueue[_Seen[E]] | None = None  # from the first query on
        self._leases: dict[str, list[Lease]] = {}
        self._rt: Runtime | None = None
        self._loop: object = None

    @property
    def bytes(self) -> int:
        """The bytes of all kept messages and events."""
        return self.recent_bytes + (0 if self._newest is None else self._newest.bytes)

    # ---- called by the reader

    def follow(self, rt: Runtime) -> None:
        """A connection has opened in this loop, and nothing has been read on it."""
        self._rt = rt
        loop = rt.loop_caller()
        if loop != self._loop:  # times of another loop's clock are meaningless
            self._loop = loop
            self._newest = None
            self._forget_recent()

    def note(self, messages: Sequence[Any], at: float) -> None:
        """Keep messages that were read before the first query."""
        size = sum(map(len, messages))
        if size > self._size:
            self._forget_recent()  # older messages must not pass for the newest
            return
        recent = self._recent
        recent.append((at, size, tuple(messages)))
        self.recent_bytes += size
        while len(recent) > self._reads or self.recent_bytes > self._size:
            self.recent_bytes -= recent.pop(0)[1]

    def begin(self) -> None:
        """The first query: decode the kept messages."""
        if not self.tracking:
            self.tracking = True
            self._tell_recent(self)
            self._forget_recent()

    def look_back(self, other: Freshness[E]) -> None:
        """Add the kept messages or events to ``other``."""
        self._tell_recent(other)
        for seen in () if self._newest is None else self._newest.items:
            other.saw(seen.event, seen.size, seen.at)

    def _tell_recent(self, other: Freshness[E]) -> None:
        for at, _, messages in self._recent:
            for message in messages:
                try:
                    event = self._decode(message)
                except ProtocolError:
                    continue
                other.saw(event, len(message), at)

    def _forget_recent(self) -> None:
        self._recent.clear()
        self.recent_bytes = 0

    def saw(self, event: E, size: int, at: float) -> None:
        """An event was read. It is ignored if older than the newest of its type."""
        etype = canonical(event.etype)
        if self._newest is None:
            self._newest = KeyedQueue(None, self._bound)
        elif (newest := self._newest.find(etype)) is not None and newest.at > at:
            return
        self._newest.put(_Seen(event, etype, size, at))
        if etype in self._leases:
            for lease in self._leases[etype]:
                lease.push(at)

    # ---- queries

    def latest(self, etype: str, max_age: float | None) -> E:
        """The newest event of a type. Raises Stale without one, or if it is too old."""
        (name,) = _checked(etype, math.inf if max_age is None else max_age)
        seen = self._find(name)
        if seen is None:
            raise Stale(f"no {etype} has been received")
        if max_age is not None:
            assert self._rt is not None
            age = self._rt.current_time() - seen.at
            if age > max_age:
                raise Stale(f"the newest {etype} is {age:.3g} s old, over {max_age:g} s")
        return seen.event

    def _find(self, name: str) -> _Seen[E] | None:
        return None if self._newest is None else self._newest.find(name)

    def read_at(self, names: Sequence[str]) -> float:
        """When the newest event of these types was read; -inf without one."""
        found = [seen.at for name in names if (seen := self._find(name)) is not None]
        return max(found, default=-math.inf)

    @property
    def held(self) -> bool:
        """Whether there are active leases."""
        return bool(self._leases)

    def hold(self, lease: Lease) -> None:
        """Extend this lease with each of its events from now on."""
        for name in lease.names:
            self._leases.setdefault(name, []).append(lease)

    def release(self, lease: Lease) -> None:
        """Stop extending this lease."""
        for name in lease.names:
            self._leases[name].remove(lease)
            if not self._leases[name]:
                del self._leases[name]


class Lease:
    """``with lease:`` runs its block for as long as events of a type keep coming.

    Each event read, of any of the types, moves the deadline to ``max_age`` seconds after it. When
    none comes in time, the block is cancelled, and leaving it raises Stale. An exception raised in
    the cancelled block takes precedence, as with `trio.fail_after`; cancelling ``lease.scope``
    yourself leaves the block without an error.
    """

    def __init__(self, freshness: Freshness[Any], etype: Etypes, max_age: float) -> None:
        #: the canonical event types
        self.names: tuple[str, ...] = _checked(etype, max_age)
        #: the event types as text: ``"HAND_MOVE or CONTROLLER_MOVE"``
        self.etype: str = etype if isinstance(etype, str) else " or ".join(etype)
        self.max_age: float = max_age
        self._scope: CancelScope | None = None
        self._freshness = freshness
        self._held = False

    @property
    def scope(self) -> CancelScope:
        """The cancel scope of the block, of the running async library; set on entry."""
        if self._scope is None:
            raise RuntimeError(f"{self!r} has no scope before it is entered")
        return self._scope

    def __enter__(self) -> Self:
        if self._held:
            raise RuntimeError(f"{self!r} is already in use; create another one")
        rt = runtime()
        now = rt.current_time()
        self._clock = rt.current_time
        self._last = self._freshness.read_at(self.names)
        deadline = self._last + self.max_age
        if not now < deadline:  # the first event may still be on its way
            deadline = now + self.max_age
        self._scope = rt.CancelScope(deadline=deadline)
        self._scope.__enter__()
        self._freshness.hold(self)
        self._held = True
        return self

    def push(self, at: float) -> None:
        """Extend the lease for an event read at ``at``. An expired lease stays expired."""
        scope = self.scope
        deadline = at + self.max_age
        if scope.deadline < deadline and at < scope.deadline and not scope.cancel_called:
            scope.deadline = deadline
            self._last = at

    def __exit__(self, *exc: Any) -> bool:
        self._freshness.release(self)
        self._held = False
        swallowed = bool(self.scope.__exit__(*exc))
        now = self._clock()
        if swallowed and self.scope.cancelled_caught and now >= self.scope.deadline:
            newest = "there was none before"
            if self._last != -math.inf:
                newest = f"the newest was read {now - self._last:.3g} s ago"
            raise Stale(f"no {self.etype} came within {self.max_age:g} s; {newest}") from None
        return swallowed

    def __repr__(self) -> str:
        return f"<lease on {self.etype}, {self.max_age:g} s>"


def _checked(etype: Etypes, max_age: float) -> tuple[str, ...]:
    """Check the arguments; return the canonical event types."""
    etypes = (etype,) if isinstance(etype, str) else etype
    if not (isinstance(etypes, Sequence) and etypes and all(isinstance(e, str) for e in etypes)):
        raise TypeError(must_be("etype", "a str, 'SET', or several of them", etype))
    if isinstance(max_age, bool) or not isinstance(max_age, int | float):
        raise TypeError(must_be("max_age", "a number of seconds", max_age))
    if not max_age >= 0:
        raise ValueError(must_be("max_age", "0 or more seconds", max_age))
    return tuple(dict.fromkeys(map(canonical, etypes)))
