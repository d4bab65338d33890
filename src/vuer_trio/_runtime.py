"""The seam between Trio and asyncio: one short table of names.

On Trio every name but the event is Trio's own object. On asyncio the same names are filled by
anyio, which is imported only there: this table is the anyio shim. Whoever opens a connection asks
`runtime()` once, and everything below it uses the table and never imports an async library by name.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from weakref import ref

import sniffio
import trio

from ._interrupts import Interrupt, interrupt_in, tell_main_task
from ._trio_event import Event as TrioEvent

if TYPE_CHECKING:
    import asyncio

    from . import _async_types

__all__ = ["Runtime", "run", "runtime"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """The names both libraries have, with Trio's meaning."""

    name: str
    Event: Callable[[], _async_types.AsyncEvent]
    CancelScope: Callable[..., _async_types.CancelScope]
    open_nursery: Callable[[], AbstractAsyncContextManager[_async_types.Nursery]]
    move_on_after: Callable[[float], _async_types.CancelScope]
    sleep: Callable[[float], Awaitable[None]]
    sleep_until: Callable[[float], Awaitable[None]]
    current_time: Callable[[], float]
    #: when the nearest scope around the caller cancels it, on that clock
    effective_deadline: Callable[[], float]
    #: `current_time` of this loop, bound: for who asks for each read
    clock: Callable[[], Callable[[], float]]
    checkpoint: Callable[[], Awaitable[None]]
    checkpoint_if_cancelled: Callable[[], Awaitable[None]]
    cancel_shielded_checkpoint: Callable[[], Awaitable[None]]
    #: whether an exception is the cancellation of the running task: not that of something else,
    #: which it has awaited, nor one that was kept, nor the other library's
    is_cancellation: Callable[[BaseException], bool]
    #: what is equal in the same task alone, and does not keep it: a frame that held a task would be
    #: in a circle with the error that has ended it. None, or RuntimeError, where no task runs
    current_task: Callable[[], object]
    #: starts a task that no nursery of the caller's owns; nothing may escape from it but an
    #: interrupt, for which see `raise_in_program`
    spawn_system_task: Callable[..., object]
    #: runs a sync function in a worker thread; a cancellation waits for its end
    run_in_thread: Callable[..., Awaitable[Any]]
    #: a context manager, as which an async iterator of signals is had
    open_signal_receiver: Callable[..., Any]
    #: returns a function that runs a sync function in this loop, callable from anywhere
    loop_caller: Callable[[], Callable[[Callable[[], object]], object]]
    #: what tells one loop from another, for a task; raises RuntimeError without one
    current_loop: Callable[[], object]
    #: has an interrupt that strikes a system task raised in the program; whether that can be done
    raise_in_program: Callable[[Interrupt], Awaitable[bool]]


def _spawn_on_trio(fn: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Trio takes what leaves a system task for an error of its own."""

    async def system_task() -> None:
        try:
            await fn()
        except BaseException as exc:
            if interrupt_in(exc) is None:
                raise  # the run has ended, and cancels it

    trio.lowlevel.spawn_system_task(system_task, name=fn)


_TRIO = Runtime(
    name="trio",
    Event=TrioEvent,
    CancelScope=trio.CancelScope,
    open_nursery=trio.open_nursery,
    move_on_after=trio.move_on_after,
    sleep=trio.sleep,
    sleep_until=trio.sleep_until,
    current_time=trio.current_time,
    effective_deadline=trio.current_effective_deadline,
    clock=lambda: trio.lowlevel.current_clock().current_time,
    checkpoint=trio.lowlevel.checkpoint,
    checkpoint_if_cancelled=trio.lowlevel.checkpoint_if_cancelled,
    cancel_shielded_checkpoint=trio.lowlevel.cancel_shielded_checkpoint,
    is_cancellation=lambda exc: (
        isinstance(exc, trio.Cancelled) and trio.current_effective_deadline() == -math.inf
    ),
    current_task=lambda: ref(trio.lowlevel.current_task()),
    spawn_system_task=_spawn_on_trio,
    run_in_thread=trio.to_thread.run_sync,
    open_signal_receiver=trio.open_signal_receiver,
    loop_caller=lambda: trio.lowlevel.current_trio_token().run_sync_soon,
    current_loop=trio.lowlevel.current_trio_token,
    raise_in_program=tell_main_task,
)


@cache
def _asyncio() -> Runtime:
    """asyncio's table. A background task is kept from the garbage collector while it runs."""
    import asyncio

    import anyio
    import anyio.lowlevel
    import anyio.to_thread

    from ._anyio_nursery import Nursery
    from ._asyncio_event import Event as PlainEvent

    background: set[asyncio.Task[None]] = set()
    #: anyio's own name of it looks for the loop's library first, each time
    CancelScope: Any = type(anyio.CancelScope())  # noqa: N806

    async def bare(fn: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Out of a group, an interrupt leaves the loop; in one, nobody would hear of it."""
        try:
            await fn()
        except BaseExceptionGroup as group:
            raise interrupt_in(group) or group from None

    def spawn(fn: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(bare(fn))
        background.add(task)
        task.add_done_callback(background.discard)

    async def checked() -> Literal[True]:
        await anyio.lowlevel.checkpoint()
        return True

    class Event(PlainEvent):
        """anyio's looks for the loop's library first; one is made for each wait of a `recv`."""

        __slots__ = ()

        # Not `async def`: each task that waits would hold one more coroutine.
        def wait(self) -> Coroutine[Any, Any, Literal[True]]:
            return checked() if self.is_set() else super().wait()

    async def nothing() -> None:
        """A cancellation arrives where a task suspends; between two suspensions only the task
        itself could cancel itself. So the check goes with the next full checkpoint."""

    async def cancel_shielded_checkpoint() -> None:
        """anyio's shield does not hold against `asyncio.Task.cancel`: that is put off here, to
        the next await, as what the caller has done before cannot be undone."""
        try:
            await anyio.lowlevel.cancel_shielded_checkpoint()
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # the same request, once
            task.cancel(*exc.args)

    async def raise_in_program(interrupt: Interrupt) -> bool:
        """By itself: what leaves a task so, leaves the loop."""
        return True

    def move_on_after(seconds: float) -> _async_types.CancelScope:
        scope: _async_types.CancelScope
        scope = CancelScope(deadline=asyncio.get_running_loop().time() + seconds)
        return scope

    def is_cancellation(exc: BaseException) -> bool:
        if not isinstance(exc, asyncio.CancelledError):
            return False
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0

    def current_task() -> object:
        task = asyncio.current_task()
        return None if task is None else ref(task)

    return Runtime(
        name="asyncio",
        Event=Event,
        CancelScope=CancelScope,
        open_nursery=lambda: Nursery(CancelScope),
        move_on_after=move_on_after,
        sleep=anyio.sleep,
        sleep_until=anyio.sleep_until,
        # anyio's asks which library runs, and in a callback of the loop's nobody can tell
        current_time=lambda: asyncio.get_running_loop().time(),
        effective_deadline=anyio.current_effective_deadline,
        clock=lambda: asyncio.get_running_loop().time,
        checkpoint=anyio.lowlevel.checkpoint,
        checkpoint_if_cancelled=nothing,
        cancel_shielded_checkpoint=cancel_shielded_checkpoint,
        is_cancellation=is_cancellation,
        current_task=current_task,
        spawn_system_task=spawn,
        run_in_thread=anyio.to_thread.run_sync,
        open_signal_receiver=anyio.open_signal_receiver,
        loop_caller=lambda: asyncio.get_running_loop().call_soon_threadsafe,
        current_loop=asyncio.get_running_loop,
        raise_in_program=raise_in_program,
    )


def run(backend: str, fn: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an async program under "trio" or "asyncio".

    That is in the loop that the program has made the current one, if there is one that does not
    run: tasks that wait in it run as well, and are cancelled at the end, when the loop is closed.
    Raises RuntimeError in a task: there is a loop already.
    """
    try:
        name = sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        pass
    else:
        raise RuntimeError(f"{name} is already running")
    if backend == "trio":
        trio.run(fn)
    else:
        _run_on_asyncio(fn)


def _run_on_asyncio(fn: Callable[[], Coroutine[Any, Any, None]]) -> None:
    import asyncio

    loop = _current_asyncio_loop()
    # it may run in another thread, or have run before a fork
    if loop is None or loop.is_closed() or loop.is_running():
        return asyncio.run(fn())
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(fn())
    finally:
        asyncio.set_event_loop(None)  # as `asyncio.run` does


def _current_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """The program runs behind this: neither with its filter of warnings, nor in its `except`."""
    import asyncio

    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # from 3.12 on: it would make one
        try:
            return asyncio.get_event_loop()
        except (RuntimeError, DeprecationWarning):
            return None


def runtime() -> Runtime:
    """The table of the library that runs the calling task.

    Raises RuntimeError outside an event loop, and under any but Trio and asyncio.
    """
    try:
        name = sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        raise RuntimeError(
            "no async library is running: call this from a task, under trio.run(...) or "
            "asyncio.run(...)"
        ) from None
    if name == "trio":
        return _TRIO
    if name == "asyncio":
        return _asyncio()
    raise RuntimeError(f"connections open under Trio and asyncio, not under {name}")
