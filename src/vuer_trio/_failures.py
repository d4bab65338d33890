"""What code of the user's raises, where this library calls it: what goes on, and what is logged.

A handler, a task or a hook may raise anything. Only the cancellation of the running task goes on
from there, and KeyboardInterrupt and SystemExit, which win over what else is in a group with them.
Everything else is a failure of that code alone, to be logged, whatever its class: the panic of an
extension and pytest's own outcomes are no Exceptions, and nor is a CancelledError that belongs to
another task, or to the other library.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from ._formatting import shown
from ._interrupts import Interrupt, interrupt_in
from ._runtime import Runtime

__all__ = [
    "as_exception",
    "contain",
    "describe",
    "first_leaf",
    "has_failed",
    "log_failure",
    "pass_on",
    "verb",
]

#: characters of an exception's text
_LONGEST = 600


def has_failed(exc: BaseException, rt: Runtime | None = None, task: object = None) -> bool:
    """Whether there is anything in ``exc`` to be logged.

    ``task`` is what ``rt.current_task()`` was before the call: if it is another one now, a garbage
    collector closes this coroutine, which must not wait again, so that all goes on. Sync code
    gives neither: no cancellation of this task can come out of it.
    """
    if rt is not None and _current(rt) != task:
        return False
    return any(
        not isinstance(leaf, Interrupt) and not (rt is not None and rt.is_cancellation(leaf))
        for leaf in _leaves(exc)
    )


def pass_on(exc: BaseException, rt: Runtime | None = None, task: object = None) -> None:
    """Raise what of ``exc`` is to go on, if anything is; the arguments are those of `has_failed`.

    That it was caught does not show. Nothing is left in a local variable of the caller's, which
    the traceback holds.
    """
    found: BaseException | None
    found = interrupt_in(exc)
    if found is None:
        found = exc  # a group of cancellations as the library has made it
        if has_failed(exc, rt, task):
            own = (leaf for leaf in _leaves(exc) if rt is not None and rt.is_cancellation(leaf))
            found = next(own, None)
    if found is None:
        return
    context = found.__context__
    try:
        raise found
    finally:
        found.__context__ = context
        del exc, found, context


def log_failure(log: logging.Logger, failure: BaseException, message: str, *args: Any) -> None:
    """An error in the log, with the traceback. Works for an exception without a text, too."""
    # Not the exception itself: one that is false, for want of items say, would not be shown.
    log.error(message, *args, exc_info=(type(failure), failure, failure.__traceback__))


def contain(exc: BaseException, log: logging.Logger, message: str, *args: Any) -> None:
    """Log what a sync hook has raised, and raise what goes on."""
    if has_failed(exc):
        log_failure(log, exc, message, *args)
    try:
        pass_on(exc)
    finally:
        del exc  # whose traceback holds this frame


def verb(failure: BaseException) -> str:
    """What the code did that has failed so, for a log."""
    lost = type(failure).__name__ == "CancelledError"  # of asyncio, which Trio need not import
    return "awaited what was cancelled" if lost else "raised"


def describe(exc: BaseException, form: Callable[[BaseException], str] = str) -> str:
    """Its text, as it may be shown, or its class if it has none, or if that fails as well."""
    try:
        return shown(form(exc), _LONGEST) or type(exc).__name__
    except Exception:
        return type(exc).__name__


def as_exception(failure: BaseException) -> Exception:
    """What stands for a failure where nothing else may be raised; that is its cause then."""
    if isinstance(failure, Exception):
        return failure
    error = RuntimeError(f"{type(failure).__name__} was raised: {describe(failure)}")
    error.__cause__ = failure
    return error


def first_leaf(exc: BaseException | None) -> BaseException | None:
    """It, or what comes first in its groups."""
    return None if exc is None else next(_leaves(exc))


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    """It, or all that is in its groups."""
    left = [exc]
    while left:
        exc = left.pop()
        if isinstance(exc, BaseExceptionGroup):
            left += reversed(exc.exceptions)
        else:
            yield exc


def _current(rt: Runtime) -> object:
    try:
        return rt.current_task()
    except RuntimeError:  # the loop has ended
        return None
