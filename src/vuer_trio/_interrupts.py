"""KeyboardInterrupt and SystemExit: where they may strike, and that they win.

On Trio a Ctrl-C becomes KeyboardInterrupt at once in code that is not protected, and else in the
main task, where it waits. What of this library runs in tasks and must not be torn is `protected`;
what users gave it to call runs through `call_unprotected`. Neither costs anything at the call.
"""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from types import CoroutineType
from typing import Any, Generic, ParamSpec, TypeVar

import trio

__all__ = [
    "Interrupt",
    "RunsByItself",
    "call_unprotected",
    "interrupt_in",
    "protected",
    "protected_block",
    "protected_methods",
    "run_unprotected",
    "tell_main_task",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
C = TypeVar("C", bound=type)

Interrupt = KeyboardInterrupt | SystemExit

#: marks a function whose state a KeyboardInterrupt must not tear; it is raised elsewhere then
protected = trio.lowlevel.enable_ki_protection


class RunsByItself:
    """A task that a function has started: who calls that function does not wait for it."""


def protected_methods(cls: C) -> C:
    """A class whose functions are all `protected`."""
    for member in vars(cls).values():
        function = member.fget if isinstance(member, property) else member
        function = getattr(function, "__func__", function)  # of a classmethod, a staticmethod
        if inspect.isfunction(function):
            protected(function)
    return cls


@trio.lowlevel.disable_ki_protection
async def call_unprotected(fn: Callable[..., Any], *args: Any) -> Any:
    """Call a function of the user's, sync or async: a Ctrl-C may strike it wherever it is."""
    result = fn(*args)
    if type(result) is CoroutineType:  # as most; the question below is a slow one
        return await result
    if result is None or isinstance(result, RunsByItself) or not inspect.isawaitable(result):
        return result
    return await result


@trio.lowlevel.disable_ki_protection
async def run_unprotected(fn: Callable[..., Awaitable[R]], *args: Any, **options: Any) -> R:
    """The same for one that is async."""
    return await fn(*args, **options)


class _Protected(AbstractAsyncContextManager[T], Generic[T]):
    """An `asynccontextmanager` that a Ctrl-C cannot leave half entered or half left."""

    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        self._manager = manager

    @protected
    async def __aenter__(self) -> T:
        return await self._manager.__aenter__()

    @protected
    async def __aexit__(self, *exc: Any) -> bool | None:
        return await self._manager.__aexit__(*exc)


def protected_block(
    fn: Callable[P, AsyncGenerator[T, None]],
) -> Callable[P, AbstractAsyncContextManager[T]]:
    """As `asynccontextmanager`, for a block with a nursery: left half, that would never end."""
    make = asynccontextmanager(fn)

    @wraps(fn)
    def manage(*args: P.args, **options: P.kwargs) -> AbstractAsyncContextManager[T]:
        return _Protected(make(*args, **options))

    return manage


def interrupt_in(exc: BaseException | None) -> Interrupt | None:
    """The KeyboardInterrupt or SystemExit that an exception is, or holds at any depth."""
    if isinstance(exc, Interrupt):
        return exc
    if isinstance(exc, BaseExceptionGroup):
        for inner in exc.exceptions:
            found = interrupt_in(inner)
            if found is not None:
                return found
    return None


@protected
async def tell_main_task(interrupt: Interrupt) -> bool:
    """On Trio: have a Ctrl-C that struck a system task raised in the main task, as Trio does for
    one that it may not raise where it strikes. Whether that could be done."""
    if not isinstance(interrupt, KeyboardInterrupt) or not _trio_hears_signals():
        return False
    token = trio.lowlevel.current_trio_token()
    told = trio.Event()
    # This function is protected, so Trio's handler passes it on.
    signal.raise_signal(signal.SIGINT)
    token.run_sync_soon(told.set)  # in the order of the calls: the main task is told before
    with trio.CancelScope(shield=True):
        await told.wait()
    return True


def _trio_hears_signals() -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGINT)
    return getattr(handler, "__module__", "").partition(".")[0] == "trio"
