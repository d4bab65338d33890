"""A task of a session's, with what `asyncio.Task` has: under Trio, too."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import trio

from .._errors import ClientClosed, ConnectionClosed, TaskCancelled
from .._failures import contain, has_failed, log_failure, pass_on, verb
from .._formatting import must_be
from .._interrupts import RunsByItself, protected, run_unprotected
from .._runtime import Runtime
from .tasks import TaskOwner, name_of
from .wrong_library import add_hint

if TYPE_CHECKING:
    from .._async_types import CancelScope

__all__ = ["SessionTask"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

T = TypeVar("T")


class _End(Enum):
    NOT_YET = "it runs"
    RETURNED = "it has returned"
    RAISED = "it has raised"
    CANCELLED = "it was cancelled"


class SessionTask(RunsByItself, Generic[T]):
    """A task of `VuerSession.spawn_task`, with the methods of an `asyncio.Task`.

    ``await task`` waits for its end, and gives what its function returned, or raises what that
    raised. If the task was cancelled, it raises `TaskCancelled` on Trio and
    `asyncio.CancelledError` on asyncio. A cancelled ``await task`` only stops waiting on Trio; on
    asyncio it cancels the task as well, as awaiting an `asyncio.Task` does.

    On asyncio it is an `asyncio.Future` as well, for `asyncio.gather`, `asyncio.wait`,
    `asyncio.wait_for`, `asyncio.shield` and whatever else takes one.
    """

    def __init__(
        self,
        session: TaskOwner,
        rt: Runtime,
        fn: Callable[..., Awaitable[T]] | Coroutine[Any, Any, T],
        args: tuple[Any, ...],
        name: str | None = None,
    ) -> None:
        if not (callable(fn) or inspect.iscoroutine(fn)) or (args and inspect.iscoroutine(fn)):
            what = "an async function, followed by its arguments"
            raise TypeError(must_be("the function for spawn_task", what, fn))
        self._session = session
        self._rt = rt
        self._fn = fn
        self._args = args
        #: what logs call it
        self.name: str = name or name_of(fn)
        self._scope = rt.CancelScope()
        self._ended = rt.Event()
        self._how = _End.NOT_YET
        self._value: T | None = None
        self._error: BaseException | None = None
        self._awaiting = 0  # tasks that will be told how it ends
        self._taken = False  # its error, by somebody
        self._when_done: list[tuple[Callable[[Any], object], Context | None]] = []

    # ---- as of an asyncio.Task

    def done(self) -> bool:
        """Whether the task has ended."""
        return self._how is not _End.NOT_YET

    def cancelled(self) -> bool:
        """Whether the task has ended by being cancelled, by itself or with its session."""
        return self._how is _End.CANCELLED

    def result(self) -> T:
        """What its function returned. Raises what that raised.

        Raises TaskCancelled if the task was cancelled, and RuntimeError if it has not ended yet:
        on asyncio `asyncio.CancelledError` and `asyncio.InvalidStateError`.
        """
        self._check_ended()
        self._taken = True
        try:
            if self._error is not None:
                raise self._error
        finally:
            value = self._value
            del self  # or the traceback of its error would keep it, in a circle
        return cast("T", value)  # it has returned

    def exception(self) -> BaseException | None:
        """What its function raised, or None. Raises as `result` if there is neither."""
        self._check_ended()
        self._taken = True
        return self._error

    def add_done_callback(
        self, fn: Callable[[Self], object], /, *, context: Context | None = None
    ) -> None:
        """Call ``fn(task)`` when the task has ended.

        What it raises is logged. If the task has ended already, it is called at once on Trio, and
        soon on asyncio.
        """
        if self.done():
            self._call(fn, context)
        else:
            self._when_done.append((fn, context))

    def remove_done_callback(self, fn: Callable[[Self], object], /) -> int:
        """No longer call ``fn``. Returns how many times it was to be called."""
        others = [call for call in self._when_done if call[0] != fn]
        removed = len(self._when_done) - len(others)
        self._when_done = others
        return removed

    def get_name(self) -> str:
        """What logs call it."""
        return self.name

    def set_name(self, value: object, /) -> None:
        """Have logs call it so."""
        self.name = str(value)

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the task, which ends a little later. Returns whether it had not ended yet.

        Calling it twice is harmless. ``msg`` is for asyncio.
        """
        if self.done():
            return False
        self._scope.cancel()
        return True

    def __await__(self) -> Generator[Any, None, T]:
        self._awaiting += 1
        try:
            yield from self._ended.wait().__await__()
            return self.result()
        finally:
            self._awaiting -= 1
            del self  # as in `result`

    # ---- ours

    async def wait(self) -> None:
        """Wait until the task has ended, however it ends."""
        await self._ended.wait()

    def __repr__(self) -> str:
        how = "was cancelled" if self.cancelled() else "has ended" if self.done() else "runs"
        return f"<SessionTask {self.name!r} {how}>"

    def _check_ended(self) -> None:
        if self._how is _End.NOT_YET:
            raise RuntimeError(f"{self.name} has not ended yet: `await task` waits for its result")
        if self._how is _End.CANCELLED:
            raise TaskCancelled(f"{self.name} was cancelled, so it has no result")

    # ---- its life

    @protected
    async def _run(self) -> None:
        """Run the task. Raises nothing but a cancellation from outside."""
        failures: list[BaseException] = []
        returned: list[T] = []
        try:
            await _watched(self._rt, self._scope, self._fn, self._args, returned, failures)
        finally:
            try:
                if failures:
                    self._fail(failures.pop())
                elif returned:
                    self._return(returned.pop())
                else:
                    self._give_up()
            finally:  # also if what is called at the end has struck an interrupt
                self._drop()

    def _fail(self, error: BaseException) -> None:
        self._how, self._error = _End.RAISED, error
        if isinstance(error, trio.Cancelled):  # of something else, and nobody else's to raise
            self._how, self._error = _End.CANCELLED, None
        tell = self._teller(error)
        self._call_back()
        if not (self._awaiting or self._taken):
            tell()

    def _return(self, value: T) -> None:
        self._how, self._value = _End.RETURNED, value
        self._call_back()

    def _give_up(self) -> None:
        """It was cancelled, or never began."""
        self._how = _End.CANCELLED
        self._call_back()

    def _drop(self) -> None:
        """The task has ended, or will never begin."""
        if inspect.iscoroutine(self._fn):
            self._fn.close()  # or it would warn that it was never awaited
        del self._fn, self._args, self._session
        self._ended.set()

    def _call_back(self) -> None:
        calls, self._when_done = self._when_done, []
        for call in calls:
            self._call(*call)

    def _call(self, fn: Callable[[Self], object], context: Context | None) -> None:
        try:
            if context is None:
                fn(self)
            else:
                context.run(fn, self)
        except BaseException as exc:
            contain(exc, log, "what is called at the end of %s %s", self.name, verb(exc))

    def _teller(self, failure: BaseException) -> Callable[[], None]:
        """What logs it: with what is known of the session now."""
        ended = not self._session.connected
        name, rt = self.name, self._rt

        def tell() -> None:
            if ended and isinstance(failure, ConnectionClosed | ClientClosed):
                log.debug("the connection ended under %s", name)
            else:  # also such an error of another connection
                add_hint(failure, rt)
                log_failure(log, failure, "%s %s", name, verb(failure))

        return tell


@protected
async def _watched(
    rt: Runtime,
    scope: CancelScope,
    fn: Callable[..., Awaitable[T]] | Coroutine[Any, Any, T],
    args: tuple[Any, ...],
    returned: list[T],
    failures: list[BaseException],
) -> None:
    """Put into one of the lists what ``fn`` returns or raises; it raises what is to go on.

    The traceback of a failure holds this frame, and so must not find the task from here.
    """
    task = rt.current_task()
    try:
        with scope:
            coroutine = fn(*args) if callable(fn) else fn
            returned.append(await run_unprotected(_itself, coroutine))
    except BaseException as exc:
        if has_failed(exc, rt, task):
            failures.append(exc)
        pass_on(exc, rt, task)


async def _itself(awaitable: Awaitable[T]) -> T:
    return await awaitable
