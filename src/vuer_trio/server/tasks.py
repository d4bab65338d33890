"""The tasks of a session."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .._errors import ClientClosed, ConnectionClosed
from .._interrupts import protected, run_unprotected
from .._runtime import Runtime

if TYPE_CHECKING:
    from .session import VuerSession

__all__ = ["SessionTask", "check_function", "guarded", "name_of"]

log = logging.getLogger("vuer_trio.server")

T = TypeVar("T")

#: RFC 6455 §7.4.1: something unexpected kept the server from going on
INTERNAL_ERROR = 1011


@protected
async def guarded(
    session: VuerSession,
    fn: Callable[..., Awaitable[object]],
    *args: Any,
    name: str | None = None,
    task_status: Any = None,
) -> None:
    """Run a task that the session depends on. What it raises ends the session with 1011.

    ``name`` is for the log, if not that of ``fn``. With ``task_status``, as of a nursery's
    ``start``: only once it has started.
    """
    status = None if task_status is None else _Status(task_status)
    options = {} if status is None else {"task_status": status}
    try:
        await run_unprotected(partial(fn, *args, **options))
    except BaseException as exc:
        if not (isinstance(exc, Exception) or session.is_foreign(exc)):
            raise
        if status is not None and not status.has_started:
            raise
        if session.connected or not isinstance(exc, ConnectionClosed | ClientClosed):
            shown = name or name_of(fn)
            log.error("%s raised, so the session of %s ends", shown, session.peer, exc_info=exc)
        try:
            await session.aclose(INTERNAL_ERROR, "the server's program failed")
        except ConnectionClosed as lost:
            log.info("%s", lost)


def check_function(verb: str, fn: object) -> None:
    """Raises TypeError for what can not be called."""
    if not callable(fn):
        if inspect.iscoroutine(fn):
            fn.close()  # or it would warn that nobody awaited it
        raise TypeError(f"{verb}({fn!r}): pass an async function and its arguments, uncalled")


def _itself(coroutine: T) -> T:
    return coroutine


def name_of(fn: object) -> str:
    """Of a function, for logs and errors."""
    return getattr(fn, "__qualname__", None) or repr(fn)


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
        session: VuerSession,
        rt: Runtime,
        fn: Callable[..., Awaitable[object]] | Coroutine[Any, Any, object],
        args: tuple[Any, ...],
    ) -> None:
        if not (callable(fn) or inspect.iscoroutine(fn)) or (args and inspect.iscoroutine(fn)):
            raise TypeError(f"spawn_task({fn!r}): pass an async function and its arguments")
        self._session = session
        self._fn = fn
        self._args = args
        self._scope = rt.CancelScope()
        self._done = rt.Event()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return bool(self._done.is_set())

    def cancel(self) -> None:
        """Cancel it. Twice is harmless."""
        self._scope.cancel()

    async def wait(self) -> None:
        """Wait for its end, whatever that is."""
        await self._done.wait()

    @protected
    async def run(self) -> None:
        """Its life. Raises nothing but a cancellation from outside."""
        fn = self._fn
        try:
            with self._scope:
                await run_unprotected(*((fn, *self._args) if callable(fn) else (_itself, fn)))
        except Exception as exc:
            if isinstance(exc, ConnectionClosed | ClientClosed) and not self._session.connected:
                log.debug("the connection ended under %r", fn)
            else:  # such an error of another connection, too
                log.exception("%r raised", fn)
        except BaseException as exc:
            if not self._session.is_foreign(exc):
                raise
            log.exception("%r awaited what was cancelled", fn)
        finally:
            self.drop()

    def drop(self) -> None:
        """It has ended, or will not begin."""
        if inspect.iscoroutine(self._fn):
            self._fn.close()  # not begun, it would warn that nobody awaited it
        self._done.set()
