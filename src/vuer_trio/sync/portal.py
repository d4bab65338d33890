"""A Trio loop in a thread of its own, and the calls into it from other threads."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from inspect import isawaitable
from queue import Empty, SimpleQueue
from threading import Thread, current_thread
from typing import Any, TypeVar

import outcome
import trio

from .._errors import ClientClosed
from .._home import ANOTHER_PROCESS, Forkable
from .._interrupts import call_unprotected

__all__ = ["Portal", "call_in_thread"]

T = TypeVar("T")

#: seconds after which a thread that waits looks for a Ctrl-C that has not woken it
_LOOK = 1.0


class Portal(Forkable):
    """A Trio loop in a thread; `stop` ends both.

    A Ctrl-C may arrive in the main thread at any step, and can corrupt Python's conditions and
    futures. Threads therefore wait in C, for a queue.

    ``what`` names its owner, for messages. Raises RuntimeError in a Trio task, whose event loop it
    would block.
    """

    def __init__(self, name: str, what: str = "this client") -> None:
        super().__init__()
        self._what = what
        _refuse_in_a_task()
        ready: SimpleQueue[_Loop | BaseException] = SimpleQueue()
        loops: list[_Loop] = []  # what is in the queue could be taken out of it and lost
        self._thread = Thread(target=_run, args=(ready, loops), name=name, daemon=True)
        # A thread waits for the one that it starts, with a condition: let another one do that.
        start_new_thread(self._thread.start, ())
        try:
            loop = _wait_for(ready)
        except BaseException:
            start_new_thread(_give_up, (ready, loops))
            raise
        if isinstance(loop, BaseException):
            raise loop
        self._loop = loop

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call a function, sync or async, in the loop, and wait for its result.

        Raises whatever the function raises, and ClientClosed if the loop has ended. An exception
        in the waiting thread, such as KeyboardInterrupt, cancels the call.
        """
        if self.forked:
            raise RuntimeError(f"{self._what} {ANOTHER_PROCESS}")
        _refuse_in_a_task()
        call = _Call(fn, args, self._what)
        try:
            if not self._loop.soon(call.start, self._loop):
                raise ClientClosed(f"{self._what} was closed")
            answer = _wait_for(call.answers)
        except BaseException:
            self._loop.soon(call.scope.cancel)
            raise
        return answer.unwrap()

    @property
    def is_current(self) -> bool:
        """Whether the caller is in the loop's thread."""
        return self._thread is current_thread()

    def start(self, fn: Callable[..., Awaitable[None]], *args: Any) -> None:
        """In the loop: start a task there, which must not raise."""
        self._loop.start(fn, *args)

    def soon(self, fn: Callable[..., object], *args: Any) -> None:
        """Call a sync function in the loop, if that has not ended, without waiting for it."""
        self._loop.soon(fn, *args)

    def stop(self, *, wait: bool = True) -> None:
        """End all tasks in the loop, then the loop, then the thread. May be called twice."""
        if self.forked:
            return  # the thread, and the connection, are the other process's
        self._loop.stop()
        if wait and self._thread is not current_thread():
            while self._thread.is_alive():
                self._thread.join(_LOOK)

    def stop_after(self, fn: Callable[[], Awaitable[object]]) -> None:
        """Stop once an async function has returned, without waiting for that."""
        self._loop.soon(self._loop.start, _stop_after, self._loop.stop, fn)


def _wait_for(queue: SimpleQueue[T]) -> T:
    """The next item.

    A signal does not wake the main thread if the system hands it to another thread, or if it
    arrives just before the wait: nothing but this would see it then.
    """
    while True:
        try:
            return queue.get(timeout=_LOOK)
        except Empty:
            pass


def _refuse_in_a_task() -> None:
    if trio.lowlevel.in_trio_task():
        raise RuntimeError(
            "a blocking method was called in a Trio task, by an async handler or beside the "
            "async client: use the async client there, and ordinary functions as handlers here"
        )


class _Loop:
    """An event loop, as used from other threads."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery: trio.Nursery | None = nursery
        self._token = trio.lowlevel.current_trio_token()

    def start(self, fn: Callable[..., Awaitable[None]], *args: Any) -> None:
        """In the loop: start a task. Raises RuntimeError if it is ending."""
        if self.nursery is None:
            raise RuntimeError("the loop has ended")
        self.nursery.start_soon(fn, *args)

    def soon(self, fn: Callable[..., object], *args: Any) -> bool:
        """Call a sync function in the loop; False if that has ended."""
        try:
            self._token.run_sync_soon(fn, *args)
        except trio.RunFinishedError:
            return False
        return True

    def stop(self) -> None:
        """End it: from anywhere, a garbage collector included."""
        self.soon(self._end)

    def _end(self) -> None:
        if self.nursery is not None:
            self.nursery.cancel_scope.cancel()


class _Call:
    """A call, from another thread into a loop."""

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], what: str) -> None:
        self.answers: SimpleQueue[outcome.Outcome[Any]] = SimpleQueue()
        self.scope = trio.CancelScope()
        self._fn = fn
        self._args = args
        self._closed = outcome.Error(ClientClosed(f"{what} was closed during the call"))
        self._context = copy_context()  # a handler's calls know that they are such

    def start(self, loop: _Loop) -> None:
        """In the loop."""
        try:
            self._context.run(loop.start, self._run)
        except RuntimeError:  # it is ending
            self.answers.put(self._closed)

    async def _run(self) -> None:
        answer: outcome.Outcome[Any] = self._closed
        try:
            with self.scope:
                found = await outcome.acapture(call_unprotected, self._fn, *self._args)
                if isinstance(found, outcome.Error) and isinstance(found.error, trio.Cancelled):
                    found.unwrap()
                answer = found
        finally:
            self.answers.put(answer)


def _run(ready: SimpleQueue[_Loop | BaseException], loops: list[_Loop]) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            loop = _Loop(nursery)
            loops.append(loop)
            ready.put(loop)
            try:
                await trio.sleep_forever()
            finally:  # a nursery has a `__del__`, which would swallow a Ctrl-C in the main thread
                loop.nursery = None

    try:
        trio.run(main)
    except BaseException as exc:
        ready.put(exc)
        raise


def _give_up(ready: SimpleQueue[_Loop | BaseException], loops: list[_Loop]) -> None:
    """Nobody waits for this loop any more."""
    loop = loops[0] if loops else ready.get()
    if isinstance(loop, _Loop):
        loop.stop()


async def _stop_after(stop: Callable[[], object], fn: Callable[[], Awaitable[object]]) -> None:
    try:
        await fn()
    finally:
        stop()


async def call_in_thread(fn: Callable[..., object], *args: Any) -> None:
    """Call a handler in a worker thread, where it may block. An async one is then awaited.

    Cancelled: the thread is abandoned.
    """
    result = await trio.to_thread.run_sync(fn, *args, abandon_on_cancel=True)
    if isawaitable(result):
        await result
