"""The tasks of a session."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol

from .._errors import ClientClosed, ConnectionClosed
from .._failures import has_failed, log_failure, pass_on, verb
from .._formatting import must_be
from .._interrupts import protected, run_unprotected
from .._runtime import Runtime
from .wrong_library import add_hint

__all__ = ["NotStarted", "TaskOwner", "check_function", "guarded", "name_of"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

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
    """Run a task that the session depends on. If it raises, the session is closed with 1011.

    ``name`` is for the log, in place of the name of ``fn``. With ``task_status``, as
    ``nursery.start`` passes it, this applies from ``started()`` on; what ``fn`` raises before that
    is reported as a `NotStarted`.
    """
    status = None if task_status is None else _Status(task_status)
    options = {} if status is None else {"task_status": status}
    task = rt.current_task()
    try:
        await run_unprotected(fn, *args, **options)
    except BaseException as exc:
        failed = has_failed(exc, rt, task)
        reason = (failed and add_hint(exc, rt)) or "the server's program failed"
        if failed and status is not None and not status.has_started:
            # Not raised: Trio formats what a task raises, and would crash if that failed.
            status.started(NotStarted(exc))
            pass_on(exc, rt, task)
            return
        if failed and (session.connected or not isinstance(exc, ConnectionClosed | ClientClosed)):
            shown, message = name or name_of(fn), "%s %s, so the session of %s ends"
            log_failure(log, exc, message, shown, verb(exc), session.peer)
        pass_on(exc, rt, task)
        try:
            await session.aclose(INTERNAL_ERROR, reason)
        except ConnectionClosed as lost:
            log.info("%s", lost)


def check_function(verb: str, fn: object) -> None:
    """Raise TypeError unless ``fn`` can be called."""
    if not callable(fn):
        if inspect.iscoroutine(fn):
            fn.close()  # or it would warn that it was never awaited
        raise TypeError(
            must_be(f"the function for {verb}", "an async function", fn, "pass it uncalled")
        )


def name_of(fn: object) -> str:
    """The name of a function, for logs and errors."""
    try:
        return getattr(fn, "__qualname__", None) or repr(fn)
    except Exception:  # from its own __repr__
        return f"a {type(fn).__qualname__}"


class NotStarted:
    """What a task has raised before it had started."""

    def __init__(self, error: BaseException) -> None:
        self._error: BaseException | None = error

    def throw(self) -> NoReturn:
        """Raise it, once."""
        error, self._error = self._error, None
        assert error is not None
        try:
            raise error
        finally:
            del error  # or its traceback would keep this frame alive


class _Status:
    """A ``task_status`` that remembers whether it was used."""

    def __init__(self, status: Any) -> None:
        self._status = status
        self.has_started = False

    def started(self, value: Any = None) -> None:
        self.has_started = True
        self._status.started(value)
