"""Cancelling a scenario once at each place where a cancellation can arrive."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

import anyio
import sniffio
import trio

from .leaks import PATIENCE, Census
from .stepping import at_each_place

__all__ = ["CancelHere", "cancel_everywhere"]

#: places, after which a scenario is taken for one that never ends
_LIMIT = 10_000


async def cancel_everywhere(
    scenario: Callable[..., Awaitable[object]],
    *,
    native: bool = False,
    leaks: bool = True,
    patience: float = PATIENCE,
    limit: int = _LIMIT,
) -> int:
    """Run ``scenario`` repeatedly, and cancel it one place later each time.

    Each await of any task that actually waits has two places: when the task has begun to wait, and
    when its result is ready but the task has not resumed yet. In this way each await of the
    scenario is cancelled, whatever the other tasks are doing at that time. It stops after the first
    run that ends before the cancellation. Returns the number of places.

    A scenario without a parameter is cancelled as a whole. A scenario with a parameter receives a
    `CancelHere`, and is cancelled only in the block ``async with here:``. After the block it can
    check the result::

        async def scenario(here):
            async with vuer_server(app) as server:
                async with here:
                    async with vuer_client(server) as client:
                        await client.send(event)
                assert here.cancelled or event.value in arrived

    With ``leaks``, it asserts after each run that no task, socket or thread is left behind; they
    have ``patience`` real seconds to end. With ``native``, it cancels with a single
    ``task.cancel()`` under asyncio, as `asyncio.timeout` does; otherwise with an anyio cancel
    scope, which cancels every await from then on, as Trio's scopes do.

    Works under Trio, with any clock, and under asyncio. An exception of a run is raised, with a
    note that names the place. Raises AssertionError if something is left behind, if a native
    cancellation was swallowed, and if the scenario has more than ``limit`` places.
    """
    whole = not inspect.signature(scenario).parameters
    for place in itertools.count(1):
        if place > limit:
            raise AssertionError(f"the scenario has not ended after {limit} places")
        here = CancelHere(place, native)
        before = Census.take()
        try:
            with at_each_place(here._tick):
                await _in_a_task(_cancelled_as_a_whole(scenario, here) if whole else scenario, here)
            here._look_back()
            if leaks:
                await before.assert_nothing_left(patience)
        except Exception as exc:
            exc.add_note(f"cancel_everywhere: {here}")
            raise
        if not here.fired:
            return place - 1
    raise AssertionError("unreachable")


class CancelHere:
    """``async with here:`` marks the part of a scenario that is cancelled, at ``here.place``."""

    def __init__(self, place: int, native: bool) -> None:
        #: at which place of the block, from 1
        self.place = place
        #: whether the block got as far as that place
        self.fired: bool = False
        #: whether the block was left by the cancellation
        self.cancelled: bool = False
        self._native = native and sniffio.current_async_library() == "asyncio"
        self._act: Callable[[], object] | None = None
        self._left = place
        self._armed = self._entered = False
        self._failure: BaseException | None = None
        self._scope: Any = None
        self._task: asyncio.Task[Any] | None = None
        self._requests = 0

    def __repr__(self) -> str:
        reached = "cancelled at" if self.fired else "not as far as"
        return f"{reached} place {self.place}"

    def instead(self, act: Callable[[], object]) -> Self:
        """``async with here.instead(server.cancel):`` calls a function instead of cancelling.

        If the function returns False, it is called again at the next place.
        """
        self._act = act
        return self

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a scenario is cancelled in one block: `async with here:` once")
        self._entered = True
        if sniffio.current_async_library() == "trio":
            self._scope = trio.CancelScope()
        elif not self._native:
            self._scope = anyio.CancelScope()
        else:
            self._task = asyncio.current_task()
            assert self._task is not None
            self._requests = self._task.cancelling()
        if self._scope is not None:
            self._scope.__enter__()
        self._armed = True
        return self

    async def __aexit__(self, *exc: Any) -> bool:
        self._armed = False
        if self._task is not None:
            return await self._leave_task(self._task, exc[1])
        caught = bool(self._scope.__exit__(*exc))
        self.cancelled = caught and bool(self._scope.cancelled_caught)
        return caught

    async def _leave_task(self, task: asyncio.Task[Any], exc: BaseException | None) -> bool:
        if not self.fired or self._act is not None:
            return False
        too_late = getattr(task, "_must_cancel", False)  # for the block: it is taken here
        mine = task.cancelling() > self._requests
        if mine:
            task.uncancel()
        if isinstance(exc, asyncio.CancelledError):
            self.cancelled = mine and task.cancelling() <= self._requests
            return self.cancelled
        if too_late:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        elif exc is None:
            raise AssertionError("the block has swallowed its cancellation")
        return False

    def _tick(self) -> None:
        """At each place."""
        if not self._armed:
            return
        self._left -= 1
        if self._left > 0 or self.fired:
            return
        try:
            if self._act is not None:
                self.fired = self._act() is not False
                return
            self.fired = True
            if self._task is not None:
                self._task.cancel()
            else:
                self._scope.cancel()
        except BaseException as exc:  # in the loop's own code nobody would hear of it
            self.fired, self._failure = True, exc

    def _look_back(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._entered:
            raise AssertionError("the scenario takes `here`, and has no `async with here:`")


def _cancelled_as_a_whole(
    scenario: Callable[[], Awaitable[object]], here: CancelHere
) -> Callable[[CancelHere], Awaitable[object]]:
    async def run(here: CancelHere) -> None:
        async with here:
            await scenario()

    return run


async def _in_a_task(fn: Callable[[CancelHere], Awaitable[object]], here: CancelHere) -> None:
    """On asyncio in a task of its own: the one that runs was not made by the factory."""
    if sniffio.current_async_library() == "trio":
        await fn(here)
        return
    failure: Exception | None = None

    async def run() -> None:
        nonlocal failure
        try:
            await fn(here)
        except Exception as exc:
            failure = exc

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
    if failure is not None:
        raise failure
