"""Calling the handlers of a session, in the order of the events."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from .._connection.checkpoints import HANDLERS, CheckpointThrottle
from .._connection.log_limit import LogLimit
from .._connection.policies import Fifo
from .._connection.queue import Queue
from .._connection.received_item import ReceivedItem
from .._failures import has_failed, log_failure, pass_on, verb
from .._formatting import shown
from .._handlers import QueueWorker
from .._interrupts import call_unprotected, protected_methods
from .._runtime import Runtime
from .events import EventHandler, Handlers, RoomzEvent

__all__ = ["Backpressure", "HandlerCaller", "HandlerRunner", "call_handler"]

log: logging.Logger = logging.getLogger("vuer_trio.roomz")

#: events waiting for handlers; when it is full, the reader stops, and TCP slows the server down
_QUEUE = Fifo(capacity=16_384, max_bytes=4 << 20)
#: seconds for each handler that still runs or waits after the connection has ended
_PATIENCE = 5.0

HandlerCaller = Callable[[EventHandler, dict[str, Any]], Awaitable[None]]

_runner: ContextVar[object] = ContextVar("handlers of a Roomz client", default=None)


async def call_handler(handler: EventHandler, data: dict[str, Any]) -> None:
    """Call a sync or async handler."""
    await call_unprotected(handler, data)


class Backpressure:
    """The handlers' queue for a connection: while it is full, the reader stops.

    A closing connection clears its queues, but not this one: handlers must see its events.
    """

    def __init__(self, queue: Queue[ReceivedItem[RoomzEvent]]) -> None:
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
        """Do nothing: keep the events."""


@protected_methods
class HandlerRunner(QueueWorker):
    """Calls handlers for the events that the reader puts into ``queue``."""

    def __init__(self, rt: Runtime, handlers: Handlers, call: HandlerCaller) -> None:
        super().__init__(rt)
        self._handlers = handlers
        self._call = call
        self.queue: Queue[ReceivedItem[RoomzEvent]] = _QUEUE.open(rt)
        self._failures = LogLimit(log, "failures of handlers")
        self._task: object = None  # the task of `run`

    @property
    def inside(self) -> bool:
        """Whether the caller is a handler of this session, or a task or thread started by one.

        Such a caller must not wait for the handlers.
        """
        return _runner.get() is self

    async def run(self) -> None:
        _runner.set(self)
        self._task = self._rt.current_task()
        throttle = CheckpointThrottle(self._rt, pause=HANDLERS)
        while True:
            item = await self._next(self.queue, throttle)
            try:
                await self._call_all(item.event)
            finally:
                self._done()

    async def _call_all(self, event: RoomzEvent) -> None:
        for handler in self._handlers.of(event.name):
            if handler not in self._handlers.of(event.name):
                continue  # removed by an earlier handler
            try:
                await self._call(handler, event.data)
            except BaseException as exc:
                if has_failed(exc, self._rt, self._task) and self._failures.admits():
                    name = shown(event.name, 64)
                    log_failure(log, exc, "a handler of %r %s", name, verb(exc))
                pass_on(exc, self._rt, self._task)

    async def finish(self) -> None:
        """Wait until the handlers have seen every event, unless one takes more than 5 s."""
        while self._running or self.queue.items:
            with self._rt.move_on_after(_PATIENCE):
                await self._change()
                continue
            log.warning(
                "cancelling a handler that is still busy %g s after the end of the connection; "
                "%d events were not handled",
                _PATIENCE,
                len(self.queue.items),
            )
            return
