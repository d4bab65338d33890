"""A bounded number of tasks at a time, of which a slow one gives way while others wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from .._runtime import Runtime

if TYPE_CHECKING:
    from .._async_types import CancelScope

__all__ = ["Turn", "Turns"]

#: seconds that any turn may take, and bytes per second of one that may take longer while others
#: wait
_GRACE, _SLOW = 5.0, 65_536
#: seconds to wait for a turn, and between two checks for a slow one
_PATIENCE, _CHECK_EVERY = 30.0, 1.0


class Turn:
    """A task that has its turn. It adds the bytes that it has moved to ``taken``."""

    def __init__(self, scope: CancelScope, since: float) -> None:
        self.taken = 0
        self.gave_way = False
        self._scope = scope
        self._since = since

    def is_slow(self, now: float) -> bool:
        age = now - self._since
        return age > _GRACE and self.taken < age * _SLOW

    def give_way(self) -> None:
        self.gave_way = True
        self._scope.cancel()


class _Waiting:
    def __init__(self, event: Any) -> None:
        self.event = event


class Turns:
    """At most ``most`` tasks at a time.

    The last to arrive is the first to get a turn: a crowd that came to stay cannot keep a newcomer
    waiting.
    """

    def __init__(self, rt: Runtime, most: int) -> None:
        self._rt = rt
        self._most = most
        self._at_work: dict[Turn, None] = {}  # the oldest first
        self._line: list[_Waiting] = []  # the first one last

    def __len__(self) -> int:
        return len(self._at_work)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn | None]:
        """Wait for a turn, which lasts as long as the block; None if there was none within 30
        seconds.

        A block that is too slow while others wait is cancelled, and `Turn.gave_way` is set.
        """
        if not await self._wait():
            yield None
            return
        with self._rt.CancelScope() as scope:
            turn = Turn(scope, self._rt.current_time())
            self._at_work[turn] = None
            try:
                yield turn
            finally:
                del self._at_work[turn]
                self._call_next()

    async def _wait(self) -> bool:
        """Whether it is this task's turn; if so, it has to be taken before any other task runs."""
        me = _Waiting(self._rt.Event())
        self._line.append(me)
        until = self._rt.current_time() + _PATIENCE
        try:
            while (now := self._rt.current_time()) < until:
                if self._line[-1] is me:
                    if len(self._at_work) < self._most:
                        return True
                    self._hasten(now)
                me.event = self._rt.Event()
                with self._rt.move_on_after(_CHECK_EVERY):
                    await me.event.wait()
            return False
        finally:
            self._line.remove(me)
            self._call_next()

    def _hasten(self, now: float) -> None:
        """Somebody waits: the oldest of the slow ones gives way, if there is one."""
        if any(turn.gave_way for turn in self._at_work):
            return  # its turn is about to be free
        slow = next((turn for turn in self._at_work if turn.is_slow(now)), None)
        if slow is not None:
            slow.give_way()

    def _call_next(self) -> None:
        if self._line:
            self._line[-1].event.set()
