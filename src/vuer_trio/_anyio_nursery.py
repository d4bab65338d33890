"""A nursery of asyncio's: anyio's task group, out of which no `asyncio.Task.cancel` gets lost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from sys import intern
from typing import Any, Self

import anyio

__all__ = ["Nursery"]


class Nursery:
    """The part of a Trio nursery that the library uses.

    When a scope of a child's ends in a cancelled task group, anyio 4.16 has the group's own task
    take back the requests that had cancelled the child. If somebody has called that task's
    ``cancel()`` meanwhile, this is what it takes back, and the task runs on. So nothing is left to
    take back where a child ends.

    When the block has failed, and ``cancel()`` is called while the group waits for its children,
    the group raises the failure alone. As `asyncio.TaskGroup` does since Python 3.13, the request
    is then made again, so that the next await of the task raises it.
    """

    def __init__(self, scope: Callable[[], Any] = anyio.CancelScope) -> None:
        self._scope = scope
        self._group = anyio.create_task_group()
        self.cancel_scope = self._group.cancel_scope
        self._requests = 0  # to cancel the task, when the block was entered
        self._starting: asyncio.Task[None] | None = None  # kept from the garbage collector

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._requests = _own_task().cancelling()
        return self

    async def __aexit__(self, *exc: Any) -> bool:
        try:
            return bool(await self._group.__aexit__(*exc))
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._ask_again()
            raise
        finally:
            del exc  # whose traceback holds this frame

    def _ask_again(self) -> None:
        task = _own_task()
        # A scope around this one that is cancelled asks again by itself.
        by_a_scope = anyio.current_effective_deadline() == -math.inf
        if task.cancelling() > self._requests and not by_a_scope:
            task.uncancel()  # the same request, once
            task.cancel()

    def start_soon(
        self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: object = None
    ) -> None:
        start = partial(self._group.start_soon, self._child, fn, args, name=name or _name(fn))
        if asyncio.current_task() is not None:
            start()
        else:  # in a callback of the loop's, where anyio starts nothing
            self._starting = asyncio.ensure_future(_call(start))

    async def start(
        self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: object = None
    ) -> Any:
        return await self._group.start(self._child, fn, args, name=name or _name(fn))

    async def _child(
        self, fn: Callable[..., Awaitable[Any]], args: Sequence[Any], task_status: Any = None
    ) -> None:
        task, failure = asyncio.current_task(), None
        with self._scope() as scope:
            try:
                await (fn(*args) if task_status is None else fn(*args, task_status=task_status))
            except BaseException as exc:  # raised below: nothing is to be caught by this scope
                failure = exc
            if task is not None and task.cancelling():
                # A scope that is cancelled and shielded has its own task take the requests back.
                scope.shield = True
                scope.cancel()
        del task  # a traceback that holds this frame may become the task's own
        if failure is not None:
            try:
                if task_status is not None or not _is_over(failure):
                    raise failure
                # Not raised: anyio would keep it in a circle, for the garbage collector.
            finally:
                del failure  # whose traceback holds this frame


def _is_over(failure: BaseException) -> bool:
    """Whether it is no more than that the group is cancelled, in which nobody asks for it."""
    if not isinstance(failure, asyncio.CancelledError):
        return False
    return anyio.current_effective_deadline() == -math.inf


async def _call(start: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the group has ended meanwhile
        start()


def _own_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _name(fn: Any) -> str:
    """Of a task, as anyio would name it after ``fn``; what has no name may hold secrets."""
    named = fn if hasattr(fn, "__qualname__") else type(fn)
    return intern(f"{named.__module__}.{named.__qualname__}")  # a thousand sessions share it
