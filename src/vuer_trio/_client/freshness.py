"""The newest event of each type, and those who rely on its being new.

An event counts from when it was read, before the inbox. Nothing is polled: a lease is a cancel
scope, whose deadline the reader pushes forward.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from .._connection.lossy_queue import KeyedQueue
from .._connection.policies import Latest
from .._errors import ProtocolError, Stale
from .._formatting import must_be
from .._runtime import Runtime, runtime
from ..events import Event, canonical

if TYPE_CHECKING:
    from .._async_types import CancelScope

__all__ = ["Freshness", "Lease"]

E = TypeVar("E", bound=Event)

#: reads, and bytes, that are looked back over when somebody asks for the first time
_READS, _BYTES = 64, 65_536


class _Seen(Generic[E]):
    """An event, and when it was read, on the loop's clock."""

    __slots__ = ("at", "event", "key", "size")

    def __init__(self, event: E, key: Hashable, size: int, at: float) -> None:
        self.event, self.key, self.size, self.at = event, key, size, at

    def __len__(self) -> int:
        return self.size


class Freshness(Generic[E]):
    """What a client knows about the age of what it has read. It outlives the connections.

    Until the first question it keeps the last messages as they came, so that a client that never
    asks decodes nothing early. From then on it keeps the newest event of each type: of 1,024
    types at most, those that were read last, and 64 MiB.
    """

    def __init__(self, decode: Callable[[Any], E]) -> None:
        self.tracking: bool = False
        self._decode = decode
        self._recent: deque[tuple[float, int, Sequence[Any]]] = deque()
        self._recent_bytes = 0
        self._newest: KeyedQueue[_Seen[E]] = KeyedQueue(None, Latest())
        self._leases: dict[str, list[Lease]] = {}
        self._rt: Runtime | None = None
        self._loop: object = None

    # ---- what is read

    def follow(self, rt: Runtime) -> None:
        """A connection is open in this loop, and nothing has been read on it."""
        self._rt = rt
        loop = rt.loop_caller()
        if loop != self._loop:  # its clock tells nothing about what another loop has read
            self._loop = loop
            self._newest.clear()
            self._forget_recent()

    def note(self, messages: Sequence[Any], at: float) -> Sequence[Any]:
        """Messages were read, and nobody has asked so far. They all go into the inbox."""
        size = sum(map(len, messages))
        if size > _BYTES:
            self._forget_recent()  # nor may what is older pass for the newest
            return messages
        recent = self._recent
        recent.append((at, size, tuple(messages)))
        self._recent_bytes += size
        while len(recent) > _READS or self._recent_bytes > _BYTES:
            self._recent_bytes -= recent.popleft()[1]
        return messages

    #: it may be the reader of a connection
    messages_received = note

    async def finish(self) -> None:
        """There is nothing to wait for."""

    def begin(self) -> None:
        """Somebody asks."""
        if not self.tracking:
            self.tracking = True
            for at, _, messages in self._recent:
                for message in messages:
                    try:
                        event = self._decode(message)
                    except ProtocolError:
                        continue
                    self.saw(event, len(message), at)
            self._forget_recent()

    def _forget_recent(self) -> None:
        self._recent.clear()
        self._recent_bytes = 0

    def saw(self, event: E, size: int, at: float) -> None:
        """An event was read."""
        etype = canonical(event.etype)
        self._newest.put(_Seen(event, etype, size, at))
        if etype in self._leases:
            for lease in self._leases[etype]:
                lease.push(at)

    # ---- who asks

    def latest(self, etype: str, max_age: float | None) -> E:
        """The newest event of a type. Raises Stale."""
        seen = self._newest.find(_checked(etype, math.inf if max_age is None else max_age))
        if seen is None:
            raise Stale(f"no {etype} has been received")
        if max_age is not None:
            assert self._rt is not None
            age = self._rt.current_time() - seen.at
            if age > max_age:
                raise Stale(f"the newest {etype} is {age:.3g} s old, over {max_age:g} s")
        return seen.event

    def read_at(self, etype: str) -> float:
        """When the newest of a type was read; -inf if there is none."""
        seen = self._newest.find(canonical(etype))
        return -math.inf if seen is None else seen.at

    def hold(self, lease: Lease) -> None:
        """Push this lease."""
        self._leases.setdefault(canonical(lease.etype), []).append(lease)

    def release(self, lease: Lease) -> None:
        """Push it no more."""
        etype = canonical(lease.etype)
        self._leases[etype].remove(lease)
        if not self._leases[etype]:
            del self._leases[etype]


class Lease:
    """``with lease:`` runs its block for as long as events of a type keep coming.

    Each one that is read moves the deadline to ``max_age`` seconds after it. When none comes in
    time the block is cancelled, and leaving it raises Stale. What is raised in the block while it
    is cancelled goes first, as with `trio.fail_after`; to cancel ``lease.scope`` yourself leaves
    the block without an error.
    """

    def __init__(self, freshness: Freshness[Any], etype: str, max_age: float) -> None:
        _checked(etype, max_age)
        self.etype = etype
        self.max_age = max_age
        self._scope: CancelScope | None = None
        self._freshness = freshness
        self._held = False

    @property
    def scope(self) -> CancelScope:
        """The cancel scope of the block, of the running library; from the entry on."""
        if self._scope is None:
            raise RuntimeError(f"{self!r} has no scope before it is entered")
        return self._scope

    def __enter__(self) -> Self:
        if self._held:
            raise RuntimeError(f"{self!r} is already in use; create another one")
        rt = runtime()
        now = rt.current_time()
        self._clock = rt.current_time
        self._last = self._freshness.read_at(self.etype)
        deadline = self._last + self.max_age
        if not now < deadline:  # the first one may still be on its way
            deadline = now + self.max_age
        self._scope = rt.CancelScope(deadline=deadline)
        self._scope.__enter__()
        self._freshness.hold(self)
        self._held = True
        return self

    def push(self, at: float) -> None:
        """An event was read at ``at``. An expired lease stays expired."""
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


def _checked(etype: str, max_age: float) -> str:
    if not isinstance(etype, str):
        raise TypeError(must_be("etype", "a str, 'SET'", etype))
    if isinstance(max_age, bool) or not isinstance(max_age, int | float):
        raise TypeError(must_be("max_age", "a number of seconds", max_age))
    if not max_age >= 0:
        raise ValueError(must_be("max_age", "0 or more seconds", max_age))
    return canonical(etype)
