"""What Trio and anyio both have, as types: an object of either library is one of these.

They are for annotations, so no file imports this one at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

__all__ = ["AsyncEvent", "CancelScope", "Nursery", "TaskStatus"]

T_contra = TypeVar("T_contra", contravariant=True)


class AsyncEvent(Protocol):
    """A `trio.Event`, or asyncio's."""

    def is_set(self) -> bool:
        """Whether `set` was called."""

    def set(self) -> object:
        """Let everybody go on who waits."""

    async def wait(self) -> object:
        """Wait until it is set."""


class CancelScope(Protocol):
    """A `trio.CancelScope`, or an ``anyio.CancelScope``."""

    @property
    def deadline(self) -> float:
        """When it is cancelled, on the clock of the running library; may be set."""

    @deadline.setter
    def deadline(self, value: float, /) -> None: ...

    @property
    def shield(self) -> bool:
        """Whether cancellations from outside are kept out; may be set."""

    @shield.setter
    def shield(self, value: bool, /) -> None: ...

    @property
    def cancel_called(self) -> bool:
        """Whether it is cancelled, by `cancel` or at its deadline."""

    @property
    def cancelled_caught(self) -> bool:
        """Whether its block was left by its cancellation."""

    def cancel(self, reason: str | None = None) -> None:
        """Cancel what runs in it. Twice is harmless."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool: ...


class Nursery(Protocol):
    """A `trio.Nursery`, or an ``anyio.abc.TaskGroup``."""

    @property
    def cancel_scope(self) -> CancelScope:
        """The scope of all its tasks."""

    def start_soon(
        self, fn: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any, name: object = None
    ) -> object:
        """Run ``await fn(*args)`` in a task of its own."""

    async def start(
        self, fn: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any, name: object = None
    ) -> Any:
        """The same, and wait until it calls ``task_status.started(value)``; that value."""


class TaskStatus(Protocol[T_contra]):
    """What a nursery's ``start`` passes as ``task_status``: a `trio.TaskStatus`, or anyio's."""

    def started(self, value: T_contra, /) -> object:
        """It has started; ``value`` is what ``start`` returns."""
