"""Trio's event, in a fifth of the memory: a session has seven, and few are ever waited for."""

from __future__ import annotations

import trio

from ._interrupts import protected_methods

__all__ = ["Event"]


@protected_methods
class Event:
    """As `trio.Event`, but that it makes room for those who wait only when somebody does."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[trio.lowlevel.Task] | None = None

    def is_set(self) -> bool:
        """Whether `set` was called."""
        return self._is_set

    def set(self) -> None:
        """Let everybody go on who waits."""
        self._is_set = True
        waiting, self._waiting = self._waiting, None
        for task in waiting or ():
            trio.lowlevel.reschedule(task)

    async def wait(self) -> None:
        """Wait until it is set. Cancelled: nothing of the caller is left."""
        if self._is_set:
            await trio.lowlevel.checkpoint()
            return
        task = trio.lowlevel.current_task()
        if self._waiting is None:
            self._waiting = []
        waiting = self._waiting
        waiting.append(task)

        def leave(_: object) -> trio.lowlevel.Abort:
            waiting.remove(task)  # `set` has not taken it: who is woken cannot be cancelled
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)
