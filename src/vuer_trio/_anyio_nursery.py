"""A nursery of asyncio's: anyio's task group, out of which no `asyncio.Task.cancel` gets lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Self

import anyio

__all__ = ["Nursery"]


class Nursery:
    """The part of a Trio nursery that the library uses.

    When a scope of a child's ends in a cancelled task group, anyio 4.16 has the group's own task
    take back the requests that had cancelled the child. If somebody has called that task's
    ``cancel()`` meanwhile, this is what it takes back, and the task runs on. So nothing is left to
    take back where a child ends.
    """

    def __init__(self) -> None:
        self._group = anyio.create_task_group()
        self.cancel_scope = self._group.cancel_scope

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> bool:
        return bool(await self._group.__aexit__(*exc))

    def start_soon(
        self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: object = None
    ) -> None:
        self._group.start_soon(_even(fn), *args, name=name)

    async def start(
        self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: object = None
    ) -> Any:
        return await self._group.start(_even(fn), *args, name=name)


def _even(fn: Callable[..., Awaitable[Any]]) -> Callable[..., Coroutine[Any, Any, None]]:
    @wraps(fn)  # the task is named after it
    async def child(*args: Any, **options: Any) -> None:
        task, failure = asyncio.current_task(), None
        with anyio.CancelScope() as scope:
            try:
                await fn(*args, **options)
            except BaseException as exc:  # raised below: nothing is to be caught by this scope
                failure = exc
            if task is not None and task.cancelling():
                # A scope that is cancelled and shielded has its own task take the requests back.
                scope.shield = True
                scope.cancel()
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # whose traceback holds this frame

    return child
