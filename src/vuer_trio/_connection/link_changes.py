"""The openings and ends of links, as a stream of changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from weakref import WeakSet

from .._interrupts import protected_methods
from .._runtime import Runtime

if TYPE_CHECKING:
    from .._async_types import AsyncEvent

__all__ = ["Change", "Connected", "Disconnected", "LinkChanges", "Watch"]

#: maximum changes kept for a watcher; beyond it, the oldest are dropped
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection has opened, the ``generation``-th of this client."""

    generation: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection has ended. ``last_activity``: when data last arrived, on the loop's clock."""

    code: int
    reason: str
    last_activity: float


Change = Connected | Disconnected


@protected_methods
class Watch:
    """Iterates over the changes since its creation; ends when no more can come."""

    def __init__(self, rt: Runtime, changes: LinkChanges) -> None:
        self._rt = rt
        self._seen: deque[Change] = deque(maxlen=_MOST)
        self._changes = changes
        self._event: AsyncEvent | None = None

    def notice(self, change: Change | None) -> None:
        """Add a change, or None for the end."""
        if change is not None:
            self._seen.append(change)
        if self._event is not None:
            self._event.set()
            self._event = None

    def take(self) -> Change | None:
        """Return the next change, or None if there is none yet."""
        return self._seen.popleft() if self._seen else None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        await self._rt.checkpoint()
        while not self._seen:
            if self._changes.over:
                raise StopAsyncIteration
            if self._event is None:
                self._event = self._rt.Event()
            await self._event.wait()
        return self._seen.popleft()


@protected_methods
class LinkChanges:
    """Passes changes to all watchers, which are weakly referenced."""

    def __init__(self) -> None:
        self._watches: Collection[Watch] = ()  # a WeakSet, once somebody watches
        self.over: bool = False

    def watch(self, rt: Runtime) -> Watch:
        watch = Watch(rt, self)
        self._watches = WeakSet([*self._watches, watch])
        return watch

    def tell(self, change: Change) -> None:
        for watch in list(self._watches):
            watch.notice(change)

    def end(self) -> None:
        self.over = True
        for watch in list(self._watches):
            watch.notice(None)
