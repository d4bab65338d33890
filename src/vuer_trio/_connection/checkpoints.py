"""How often a task that never has to wait yields to the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeAlias

from .._home import Home
from .._runtime import Runtime

__all__ = ["HANDLERS", "CheckpointThrottle"]

#: seconds. A count of calls does not bound time: with 50 µs of work for each event, a yield
#: every 64 events makes the others 6 ms late; by the clock they are at most 0.7 ms late (p99).
_PAUSE = 0.00025
Checkpoint: TypeAlias = Callable[[], Awaitable[None]]

#: seconds; of the task that calls quick handlers one after another
HANDLERS = 0.0005


class CheckpointThrottle:
    """Full checkpoints by the clock: at least every ``pause`` seconds, or at every call.

    A caller compares ``perf_counter()`` with `due` itself, because that is the hot path.
    """

    __slots__ = ("_check", "_pause", "checkpoint", "due", "if_cancelled", "shielded")

    def __init__(
        self,
        rt: Runtime | None = None,
        *,
        every: bool = False,
        pause: float = _PAUSE,
        home: Home | None = None,
    ) -> None:
        self._check = None if home is None else home.check_loop
        self._pause = -1.0 if every else pause
        self.due: float = 0.0
        self.checkpoint: Checkpoint = _nothing if rt is None else rt.checkpoint
        self.if_cancelled: Checkpoint = _nothing if rt is None else rt.checkpoint_if_cancelled
        self.shielded: Checkpoint = _nothing if rt is None else rt.cancel_shielded_checkpoint

    async def turn(self) -> None:
        """Let the others run; RuntimeError in another loop. Cancelled: nothing has changed."""
        if self._check is not None:
            self._check()
        await self.checkpoint()
        self.restart()

    def restart(self) -> None:
        """The task has just slept."""
        self.due = perf_counter() + self._pause


async def _nothing() -> None:
    """Before the first connection there is no library to yield to."""
