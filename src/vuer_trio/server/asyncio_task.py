"""A task of a session's on asyncio: a future, for whatever of asyncio's takes one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from .._failures import as_exception
from .._runtime import Runtime
from .session_task import SessionTask
from .tasks import TaskOwner

__all__ = ["FutureTask"]

T = TypeVar("T")


class FutureTask(asyncio.Future[T], SessionTask[T]):
    """A `SessionTask` on asyncio. How it ended is the future's to know."""

    def __init__(
        self,
        session: TaskOwner,
        rt: Runtime,
        fn: Callable[..., Awaitable[T]] | Coroutine[Any, Any, T],
        args: tuple[Any, ...],
        name: str | None = None,
    ) -> None:
        SessionTask.__init__(self, session, rt, fn, args, name)
        asyncio.Future.__init__(self, loop=asyncio.get_running_loop())
        self._why: Any = None  # it was cancelled: anyio knows its own cancellations by that

    def cancel(self, msg: Any | None = None) -> bool:
        """As of an `asyncio.Task`: it ends a little later, also when a task that awaits it is
        cancelled, which calls this."""
        if self.done():
            return False
        if msg is not None:
            self._why = msg
        self._scope.cancel()
        return True

    def _return(self, value: T) -> None:
        self.set_result(value)

    def _give_up(self) -> None:
        super().cancel(self._why)

    def _fail(self, error: BaseException) -> None:
        tell = self._teller(error)
        if isinstance(error, asyncio.CancelledError):  # of something else that it has awaited
            self._give_up()
            tell()
            return
        # a coroutine that is thrown a GeneratorExit has to end, and whoever awaits this must not
        self.set_exception(as_exception(error) if isinstance(error, GeneratorExit) else error)

        def tell_unless_taken() -> None:
            """After those have run who were waiting for it."""
            if self._log_traceback:
                self._log_traceback = False  # which asyncio would do itself, later and worse
                tell()

        self.get_loop().call_soon(tell_unless_taken)

    def __repr__(self) -> str:
        return SessionTask.__repr__(self)
