"""An event loop of asyncio with an order that a seed determines, and a clock that jumps.

asyncio runs tasks in the order in which they became ready, and programs come to depend on that,
until a network, or a library that awaits once more, changes the order. Here, tasks that are ready
trade places with each other. A callback that does not belong to a task keeps its place, and no task
moves past it, because the order of callbacks is documented, and futures and transports rely on it.

Both are overrides of methods that asyncio's own loops have had since the beginning, though
``_run_once`` and ``_ready`` are private; this is the only file that knows them.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import selectors
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["ShuffledLoop"]


class _Clock(selectors.DefaultSelector):
    """A selector that does not wait until something is due: the time is then, at once."""

    offset = 0.0  # seconds that were jumped over
    jumps = True

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or not self.jumps:  # nothing is due ever: a thread may know
            return super().select(timeout)
        found = super().select(0)
        if not found and timeout > 0:
            self.offset += timeout
        return found


class ShuffledLoop(asyncio.SelectorEventLoop):
    """With ``virtual_time`` it starts at 0, and time passes only while all tasks wait."""

    def __init__(self, seed: int, *, virtual_time: bool) -> None:
        self._clock = _Clock() if virtual_time else None
        super().__init__(self._clock)
        self._chance = random.Random(seed)
        # Tasks by their age: where a library has them in a set, their order means nothing.
        self._ages: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._next_age = itertools.count()

    def time(self) -> float:
        return super().time() if self._clock is None else self._clock.offset

    async def shutdown_default_executor(self, *timeout: float | None) -> None:
        """Its threads end in real time, for which Python 3.12 and newer wait with a timeout."""
        if self._clock is not None:
            self._clock.jumps = False
        await super().shutdown_default_executor(*timeout)

    def _run_once(self) -> None:
        self._shuffle()
        # asyncio has no public way to reorder what is ready, and its stubs have no private names.
        super()._run_once()  # type: ignore[misc]

    def _shuffle(self) -> None:
        ready: Any = vars(self)["_ready"]
        if len(ready) < 2:
            return
        # Up to the next callback: what a future has promised to call first comes first.
        for is_step, run in itertools.groupby(
            range(len(ready)), lambda n: bool(_task_of(ready[n]))
        ):
            places = list(run)
            if not is_step or len(places) < 2:
                continue
            handles = [ready[n] for n in places]
            handles.sort(key=self._age)
            self._chance.shuffle(handles)
            for n, handle in zip(places, handles, strict=True):
                ready[n] = handle

    def _age(self, handle: asyncio.Handle) -> int:
        task = _task_of(handle)
        assert task is not None
        if task not in self._ages:
            self._ages[task] = next(self._next_age)
        return self._ages[task]


def _task_of(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    """The task that a handle steps; None for a callback of another kind."""
    # As asyncio itself finds out, to show a handle.
    owner = getattr(getattr(handle, "_callback", None), "__self__", None)
    return owner if isinstance(owner, asyncio.Task) else None
