"""The task that calls the handlers of one visit, in the order of the events."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .._connection.checkpoints import HANDLERS, CheckpointThrottle
from .._connection.log_limit import LogLimit
from .._connection.policies import Fifo
from .._connection.queue import Queue
from .._failures import has_failed, log_failure, pass_on, verb
from .._formatting import shown
from .._interrupts import call_unprotected, protected_methods
from .._runtime import Runtime
from .events import EventHandler, Handlers, Item, RoomzEvent

if TYPE_CHECKING:
    from .._async_types import AsyncEvent

__all__ = ["Calling", "Gate", "HandlerCaller", "call_handler"]

log: logging.Logger = logging.getLogger("vuer_trio.roomz")

#: events that wait for their handlers; more stop the reader, and the server feels it through TCP
_QUEUE = Fifo(capacity=16_384, max_bytes=4 << 20)
#: seconds that the last handlers have, each, when the connection has ended
_PATIENCE = 5.0

HandlerCaller = Callable[[EventHandler, dict[str, Any]], Awaitable[None]]

_calling: ContextVar[object] = ContextVar("handlers of a Roomz client", default=None)


async def call_handler(handler: EventHandler, data: dict[str, Any]) -> None:
    """Call it, sync or async."""
    await call_unprotected(handler, data)


class Gate:
    """The queue as a connection sees it: a full one stops the reader.

    A connection that is left empties its boxes; the handlers are still to see what is in this one.
    """

    def __init__(self, queue: Queue[Item]) -> None:
        self._queue = queue
        self.has_consumer = True

    @property
    def full(self) -> bool:
        return self.has_consumer and self._queue.full

    @property
    def awaited(self) -> bool:
        return self._queue.awaited

    async def drained(self) -> None:
        await self._queue.drained()

    def clear(self) -> None:
        """Nothing."""


@protected_methods
class Calling:
    """``queue`` is filled by the reader; `run` empties it."""

    def __init__(self, rt: Runtime, handlers: Handlers, call: HandlerCaller) -> None:
        self._rt = rt
        self._handlers = handlers
        self._call = call
        self.queue: Queue[Item] = _QUEUE.open(rt)
        self._failures = LogLimit(log, "failures of handlers")
        self._busy = False
        self._changed: AsyncEvent | None = None
        self._task: object = None  # that of `run`

    @property
    def inside(self) -> bool:
        """Whether the calling task or thread is a handler of this visit's, or was started by
        one: it must not wait for itself."""
        return _calling.get() is self

    async def run(self) -> None:
        _calling.set(self)
        self._task = self._rt.current_task()
        throttle = CheckpointThrottle(self._rt, pause=HANDLERS)
        while True:
            if not self.queue.items:
                await self.queue.arrival()
                throttle.restart()
                continue
            if perf_counter() >= throttle.due:
                await throttle.turn()
                continue
            self._busy = True
            try:
                await self._call_all(self.queue.pop().event)
            finally:
                self._busy = False
                if self._changed is not None:
                    self._changed.set()
                    self._changed = None

    async def _call_all(self, event: RoomzEvent) -> None:
        for handler in self._handlers.of(event.name):
            if handler not in self._handlers.of(event.name):
                continue  # another one has taken it away
            try:
                await self._call(handler, event.data)
            except BaseException as exc:
                if has_failed(exc, self._rt, self._task) and self._failures.admits():
                    name = shown(event.name, 64)
                    log_failure(log, exc, "a handler of %r %s", name, verb(exc))
                pass_on(exc, self._rt, self._task)

    async def finish(self) -> None:
        """Wait until the handlers have seen every event, as long as they get on with it."""
        while self._busy or self.queue.items:
            self._changed = self._rt.Event()
            with self._rt.move_on_after(_PATIENCE):
                await self._changed.wait()
                continue
            log.warning(
                "a handler was still busy %g s after the connection had ended and is cancelled; "
                "%d events were left",
                _PATIENCE,
                len(self.queue.items),
            )
            return
