"""The loop, the thread and the process that an object belongs to, and the way there."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from threading import get_ident
from typing import Any, TypeVar
from weakref import WeakSet

from ._errors import ClientClosed
from ._runtime import Runtime

__all__ = ["ANOTHER_PROCESS", "Forkable", "Home"]

R = TypeVar("R")

#: seconds between two looks at whether the loop that a thread waits for is still there
_LOOK = 0.2
ANOTHER_PROCESS = (
    "was opened in another process, of which this one is a fork: its connection is not shared; "
    "open one here"
)


class Forkable:
    """What is of no use in a forked child; nothing that is called there need look for that."""

    def __init__(self) -> None:
        self.forked: bool = False
        _living.add(self)

    def leave_behind(self) -> None:
        """This is the child."""
        self.forked = True


_living: WeakSet[Forkable] = WeakSet()


def _leave_all_behind() -> None:
    for thing in list(_living):
        thing.leave_behind()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_behind)


class Home(Forkable):
    """The loop that made it. ``on_fork`` is called in a forked child."""

    def __init__(self, rt: Runtime, what: str, on_fork: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.what = what
        self._rt = rt
        #: of the loop; no thread's, in another process
        self.thread: int = get_ident()
        self._loop = rt.current_loop()
        self._soon = rt.loop_caller()
        self.on_fork: Callable[[], object] | None = on_fork

    def leave_behind(self) -> None:
        super().leave_behind()
        self.thread = 0
        if self.on_fork is not None:
            self.on_fork()

    def refusal(self) -> RuntimeError:
        """For a call from elsewhere."""
        if self.forked:
            return RuntimeError(f"{self.what} {ANOTHER_PROCESS}")
        if get_ident() == self.thread:
            return RuntimeError(
                f"{self.what} belongs to another event loop than the one that runs here: open it "
                "in the loop that uses it"
            )
        sync, run = (
            ("trio.from_thread.run_sync", "trio.from_thread.run")
            if self._rt.name == "trio"
            else ("loop.call_soon_threadsafe", "asyncio.run_coroutine_threadsafe")
        )
        return RuntimeError(
            f"{self.what} belongs to the event loop of another thread: from this one use "
            "client.threadsafe.send(event), session.threadsafe or app.threadsafe.broadcast; "
            f"for other calls {sync}(...), or {run}(...) for what is awaited"
        )

    def check(self) -> None:
        """Raises RuntimeError in another thread or process."""
        if self.thread != get_ident():
            raise self.refusal()

    def check_loop(self) -> None:
        """Raises RuntimeError in a task of another loop, too."""
        try:
            loop = self._rt.current_loop()
        except RuntimeError:
            raise self.refusal() from None
        if loop is not self._loop or self.thread != get_ident():
            raise self.refusal()

    def call(self, fn: Callable[[], R]) -> R:
        """Call a sync function in the loop, from any thread, and wait for what it returns.

        Raises what it raises; RuntimeError in another process, and ClientClosed if the loop has
        ended. In the loop's own thread it is called at once.
        """
        if self.thread == get_ident():
            return fn()
        if self.forked:
            raise self.refusal()
        answer: Future[R] = Future()

        def call() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(fn())
                except BaseException as exc:
                    answer.set_exception(exc)

        try:
            there = self._hand_over(call)
            while there or answer.done():
                try:
                    return answer.result(_LOOK)
                except TimeoutError:
                    if answer.done():
                        raise  # it is what the function has raised
                # A loop that ends may forget the call.
                there = self._hand_over(_nothing)
        finally:
            answer.cancel()  # whoever was interrupted here has not called
        raise ClientClosed(f"the event loop of {self.what} has ended")

    def _hand_over(self, fn: Callable[[], object]) -> bool:
        """Have a function called in the loop; False if that has ended."""
        try:
            self._soon(fn)
        except RuntimeError:
            return False
        return True


def _nothing() -> Any:
    pass
