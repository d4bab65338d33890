"""Calling a function at each place where a cancellation can arrive.

Each await that actually waits has two places: when the task has begun to wait, and when its result
is ready and the task is about to resume. At the second one, asyncio's own ``task.cancel()`` loses
results.

On Trio, an instrument does this. On asyncio, a task factory drives each coroutine itself, and so
sees where it suspends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import sniffio
import trio

__all__ = ["at_each_place"]

Tick = Callable[[], None]


@contextmanager
def at_each_place(tick: Tick) -> Iterator[None]:
    """In the block ``tick()`` is called at each place of a task.

    On asyncio only of the tasks that are made in the block. ``tick`` must not raise.
    """
    if sniffio.current_async_library() == "trio":
        instrument = _Instrument(tick)
        trio.lowlevel.add_instrument(instrument)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(instrument)
    else:
        loop = asyncio.get_running_loop()
        previous = loop.get_task_factory()
        loop.set_task_factory(_factory(tick, previous))
        try:
            yield
        finally:
            loop.set_task_factory(previous)


class _Instrument(trio.abc.Instrument):
    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        self._first = False  # of those that the system, or the clock, has woken

    def after_io_wait(self, timeout: float) -> None:
        self._first = True

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._first:  # before the others nothing has happened since the last place
            self._first = False
            self._tick()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._tick()


def _factory(tick: Tick, previous: Any) -> Any:
    """A task factory that is as eager as the ``previous`` one."""

    def make(coro: Any, *, loop: asyncio.AbstractEventLoop, **options: Any) -> Any:
        if not options.get("eager_start"):
            loop.call_soon(tick)  # ahead of its first step
        stepped: Any = _stepped(_Stepped(coro, loop, tick))
        stepped.__name__, stepped.__qualname__ = coro.__name__, coro.__qualname__
        task = new_task(stepped, loop=loop, **options)
        task.add_done_callback(lambda _: coro.close())  # it may have been cancelled unstarted
        return task

    new_task: Any = asyncio.Task
    if (eager := _eager_constructor(previous)) is not None:
        # It is to be known for one: anyio starts no task eagerly, and takes out its constructor.
        new_task = eager
        return asyncio.create_eager_task_factory(make)  # type: ignore[attr-defined]  # from 3.12
    if previous is not None:

        def new_task(coro: Any, *, loop: asyncio.AbstractEventLoop, **options: Any) -> Any:
            return previous(loop, coro, **options)

    return lambda loop, coro, **options: make(coro, loop=loop, **options)


def _eager_constructor(factory: Any) -> Any:
    """What makes the tasks of an eager task factory of asyncio's; None for any other."""
    known = getattr(asyncio, "eager_task_factory", None)  # from 3.12 on
    if known is None or getattr(factory, "__code__", None) is not known.__code__:
        return None
    return factory.__closure__[0].cell_contents


async def _stepped(steps: _Stepped) -> Any:
    # A coroutine, because anyio asks what state a task's coroutine is in.
    return await steps


class _Stepped:
    """Drives a coroutine, and passes on whatever it and the loop say to each other."""

    def __init__(
        self, coro: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, tick: Tick
    ) -> None:
        self._coro, self._loop, self._tick = coro, loop, tick

    def __await__(self) -> Generator[Any, Any, Any]:
        advance: Callable[[], Any] = self._start
        while True:
            try:
                waited_for = advance()
            except StopIteration as stop:
                return stop.value
            self._announce(waited_for)
            try:
                yield waited_for
            except GeneratorExit:
                self._coro.close()
                raise
            except BaseException as exc:
                advance = self._thrower(exc)
            else:
                advance = self._start

    def _start(self) -> Any:
        return self._coro.send(None)

    def _thrower(self, exc: BaseException) -> Callable[[], Any]:
        return lambda: self._coro.throw(exc)

    def _announce(self, waited_for: Any) -> None:
        self._loop.call_soon(self._tick)
        if waited_for is not None:  # the task is going to add its own callback behind this one
            waited_for.add_done_callback(lambda _: self._tick())
