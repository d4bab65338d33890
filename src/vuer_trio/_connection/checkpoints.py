"""How often a task that never has to wait yields to other tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeAlias

from .._home import Home
from .._runtime import Runtime

__all__ = ["HANDLERS", "CheckpointThrottle"]

#: seconds between yields. Counting calls would not bound time: with 50 µs of work per event, a
#: yield every 64 events delays other tasks by 6 ms; by the clock it is at most 0.7 ms (p99).
_PAUSE = 0.00025
Checkpoint: TypeAlias = Callable[[], Awaitable[None]]

#: the same for a task that calls quick handlers one after another
HANDLERS = 0.0005


class CheckpointThrottle:
    """Full checkpoints by the clock: at least every ``pause`` seconds, or at every call.

    Callers compare ``perf_counter()`` with `due` themselves, because that is the hot path. Until
    then they await `if_cancelled`, if it `asks` for that.
    """

    __slots__ = ("_check", "_pause", "asks", "checkpoint", "due", "if_cancelled", "shielded")

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
        #: whether `if_cancelled` can tell anything: on asyncio, a task that does not suspend is
        #: not cancelled
        self.asks: bool = rt is not None and rt.name == "trio"
        self.checkpoint: Checkpoint = _nothing if rt is None else rt.checkpoint
        self.if_cancelled: Checkpoint = _nothing if rt is None else rt.checkpoint_if_cancelled
        self.shielded: Checkpoint = _nothing if rt is None else rt.cancel_shielded_checkpoint

    async def turn(self) -> None:
        """Let other tasks run. RuntimeError in another loop. Cancelled: nothing has changed."""
        if self._check is not None:
            self._check()
        await self.checkpoint()
        self.restart()

    def restart(self) -> None:
        """The task has just yielded by waiting: count from now."""
        self.due = perf_counter() + self._pause


async def _nothing() -> None:
    """Do nothing: before the first connection, the async library is unknown."""
