"""The tasks of a session."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, NoReturn, Protocol, TypeVar

from .._errors import ClientClosed, ConnectionClosed
from .._failures import has_failed, log_failure, pass_on, verb
from .._formatting import must_be
from .._interrupts import protected, run_unprotected
from .._runtime import Runtime

__all__ = ["NotStarted", "SessionTask", "TaskOwner", "check_function", "guarded", "name_of"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

T = TypeVar("T")

#: RFC 6455 §7.4.1: something unexpected kept the server from going on
INTERNAL_ERROR = 1011


class TaskOwner(Protocol):
    """A session, as its tasks see it: it may have ended under them, and they may end it."""

    @property
    def connected(self) -> bool: ...

    @property
    def peer(self) -> str: ...

    async def aclose(self, code: int = ..., reason: str = ...) -> None: ...


@protected
async def guarded(
    session: TaskOwner,
    rt: Runtime,
    fn: Callable[..., Awaitable[object]],
    *args: Any,
    name: str | None = None,
    task_status: Any = None,
) -> None:
    """Run a task that the session depends on. What it raises ends the session with 1011.

    ``name`` is for the log, if not that of ``fn``. With ``task_status``, as of a nursery's
    ``start``: only once it has started; what it raises before is a `NotStarted` for the starter.
    """
    status = None if task_status is None else _Status(task_status)
    options = {} if status is None else {"task_status": status}
    task = rt.current_task()
    try:
        await run_unprotected(partial(fn, *args, **options))
    except BaseException as exc:
        failed = has_failed(exc, rt, task)
        if failed and status is not None and not status.has_started:
            # Not raised: Trio formats what a task of a nursery raises, and if that fails all ends.
            status.started(NotStarted(exc))
            pass_on(exc, rt, task)
            return
        if failed and (session.connected or not isinstance(exc, ConnectionClosed | ClientClosed)):
            shown, message = name or name_of(fn), "%s %s, so the session of %s ends"
            log_failure(log, exc, message, shown, verb(exc), session.peer)
        pass_on(exc, rt, task)
        try:
            await session.aclose(INTERNAL_ERROR, "the server's program failed")
        except ConnectionClosed as lost:
            log.info("%s", lost)


def check_function(verb: str, fn: object) -> None:
    """Raises TypeError unless it can be called."""
    if not callable(fn):
        if inspect.iscoroutine(fn):
            fn.close()  # or it would warn that nobody awaited it
        raise TypeError(
            must_be(f"the function for {verb}", "an async function", fn, "pass it uncalled")
        )


def _itself(coroutine: T) -> T:
    return coroutine


def name_of(fn: object) -> str:
    """Of a function, for logs and errors."""
    try:
        return getattr(fn, "__qualname__", None) or repr(fn)
    except Exception:  # of its own
        return f"a {type(fn).__qualname__}"


class NotStarted:
    """What a task has raised instead of starting."""

    def __init__(self, error: BaseException) -> None:
        self._error: BaseException | None = error

    def throw(self) -> NoReturn:
        """Raise it, once."""
        error, self._error = self._error, None
        assert error is not None
        try:
            raise error
        finally:
            del error  # whose traceback holds this frame


class _Status:
    """A ``task_status`` that remembers."""

    def __init__(self, status: Any) -> None:
        self._status = status
        self.has_started = False

    def started(self, value: Any = None) -> None:
        self.has_started = True
        self._status.started(value)


class SessionTask:
    """A task of `VuerSession.spawn_task`."""

    def __init__(
        self,
        session: TaskOwner,
        rt: Runtime,
        fn: Callable[..., Awaitable[object]] | Coroutine[Any, Any, object],
        args: tuple[Any, ...],
    ) -> None:
        if not (callable(fn) or inspect.iscoroutine(fn)) or (args and inspect.iscoroutine(fn)):
            what = "an async function, followed by its arguments"
            raise TypeError(must_be("the function for spawn_task", what, fn))
        self._session = session
        self._rt = rt
        self._fn = fn
        self._args = args
        self._scope = rt.CancelScope()
        self._done = rt.Event()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return bool(self._done.is_set())

    def cancel(self) -> None:
        """Cancel it. Calling it twice is harmless."""
        self._scope.cancel()

    async def wait(self) -> None:
        """Wait for its end, whatever that is."""
        await self._done.wait()

    @protected
    async def run(self) -> None:
        """Its life. Raises nothing but a cancellation from outside."""
        fn, task = self._fn, self._rt.current_task()
        try:
            with self._scope:
                await run_unprotected(*((fn, *self._args) if callable(fn) else (_itself, fn)))
        except BaseException as exc:
            if has_failed(exc, self._rt, task):
                self._tell(exc)
            pass_on(exc, self._rt, task)
        finally:
            self.drop()

    def _tell(self, failure: BaseException) -> None:
        ended = not self._session.connected
        if ended and isinstance(failure, ConnectionClosed | ClientClosed):
            log.debug("the connection ended under %s", name_of(self._fn))
        else:  # such an error of another connection, too
            log_failure(log, failure, "%s %s", name_of(self._fn), verb(failure))

    def drop(self) -> None:
        """It has ended, or will not begin."""
        if inspect.iscoroutine(self._fn):
            self._fn.close()  # not begun, it would warn that nobody awaited it
        self._done.set()
