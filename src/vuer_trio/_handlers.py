"""Handlers of events: who is called for which type, and the tasks that call them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from ._connection.checkpoints import HANDLERS, CheckpointThrottle
from ._connection.log_limit import LogLimit
from ._connection.policies import Policy
from ._connection.queue import Queue
from ._errors import ClientClosed, ConnectionClosed
from ._failures import has_failed, log_failure, pass_on, verb
from ._formatting import must_be
from ._interrupts import protected_methods
from ._runtime import Runtime
from ._signatures import check_takes
from .events import Event, canonical

if TYPE_CHECKING:
    from ._async_types import AsyncEvent, Nursery

__all__ = ["Handler", "HandlerRunner", "Handlers", "kind", "register"]

log = logging.getLogger("vuer_trio.handlers")

#: the etype of handlers that are called for each event, whatever its type
EVERY: Final = "*"
#: handlers and answers that run beside each other; those above it wait their turn
_CONCURRENT = 64

_place = attrgetter("place")


def kind(event: Event) -> Hashable:
    """The key of an event for a policy that names no other: its type."""
    return canonical(event.etype)


def _limit() -> LogLimit:
    return LogLimit(log, "failures of that handler")


@dataclass(slots=True, eq=False)
class Handler:
    fn: Callable[..., Any]
    once: bool = False
    concurrent: bool = False
    answers: bool = False
    #: among all handlers of the table, in the order in which they were added
    place: int = field(init=False, repr=False, default=0)
    #: of what it raises: a client may have it called as often as it likes
    failures: LogLimit = field(init=False, repr=False, default_factory=_limit)


@dataclass(slots=True)
class Handlers:
    """Who is to be called for which event type, ``"*"`` for every one. It outlives the links."""

    _table: dict[str, list[Handler]] = field(default_factory=dict)
    _places: Iterator[int] = field(default_factory=count)

    def __bool__(self) -> bool:
        return bool(self._table)

    def add(self, etype: str, handler: Handler) -> Callable[[], None]:
        """Register; returns what takes it back, twice is harmless."""
        if not callable(handler.fn):
            raise TypeError(f"the handler of {etype} is not callable: {handler.fn!r}")
        if inspect.isgeneratorfunction(handler.fn) or inspect.isasyncgenfunction(handler.fn):
            raise TypeError(f"the handler of {etype} yields, so it would never run: {handler.fn!r}")
        if handler.answers and etype == EVERY:
            raise ValueError('an answer is for one etype, not for "*"')
        present = self._table.setdefault(canonical(etype), [])
        if handler.answers and any(other.answers for other in present):
            raise ValueError(f"{etype} is answered already; take that answer back first")
        handler.place = next(self._places)
        present.append(handler)
        return lambda: self.remove(etype, handler)

    def remove(self, etype: str, handler: Handler) -> None:
        present = self._table.get(canonical(etype), [])
        if handler in present:
            present.remove(handler)
            if not present:
                del self._table[canonical(etype)]

    def of(self, etype: str) -> Sequence[Handler]:
        """The handlers to call now, in their order; those that are called once are gone then."""
        present = self._table.get(canonical(etype))
        every = self._table.get(EVERY)
        if present is None and every is None:
            return ()
        found = [*(present or ())]
        if every is not None and etype != EVERY:
            found += every
            found.sort(key=_place)
        for handler in found:
            if handler.once:
                self.remove(etype, handler)
                self.remove(EVERY, handler)
        return found


def register(
    handlers: Handlers,
    verb: str,
    takes: Sequence[str],
    etype: str,
    fn: Callable[..., Any] | None,
    **options: bool,
) -> Any:
    """``fn`` given: register it and return its clean-up. Else: return a decorator.

    ``verb`` is the method that was called, and ``takes`` names what ``fn`` will be called with.
    Raises TypeError for an ``etype`` that is no string, ``@app.add_handler`` without one among
    them, and for what cannot be called so.
    """
    if not isinstance(etype, str):
        raise TypeError(must_be("etype", "a str, 'SET'", etype))

    def add(fn: Callable[..., Any]) -> Callable[[], None]:
        if callable(fn):
            check_takes(f'{verb}("{etype}")', fn, takes)
        return handlers.add(etype, Handler(fn, **options))

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        add(fn)
        return fn

    return decorate if fn is None else add(fn)


class _Job:
    """An event on its way to a handler. It has a ``key`` if a newer one may take its place."""

    __slots__ = ("event", "handler", "key", "size")

    key: Hashable

    def __init__(self, handler: Handler, event: Event, size: int) -> None:
        self.handler, self.event, self.size = handler, event, size

    def __len__(self) -> int:
        return self.size


@protected_methods
class HandlerRunner:
    """Calls the handlers of one connection.

    One task calls them in the order of the events; another starts those that are not to wait. The
    queues of calls have the policy of the inbox: a full one stops the reader, or drops the oldest.
    Reading only fills the queues: on asyncio it happens in a callback of the loop's, where no task
    can be started.
    """

    def __init__(
        self,
        rt: Runtime,
        nursery: Nursery,
        policy: Policy,
        call: Callable[[Handler, Event], Awaitable[None]],
        outbox: Queue[Any],
    ) -> None:
        self._rt = rt
        self._nursery = nursery
        self._call = call
        self._outbox = outbox  # closed with the connection
        self._in_order: Queue[_Job] = policy.for_calls().open(rt)
        self._at_once: Queue[_Job] = policy.for_calls().open(rt)
        self._running = 0
        self._changed: AsyncEvent | None = None  # an event for the end of the next call
        #: the queues; what is in them stops the reader when it is too much
        self.boxes: list[Queue[Any]] = [self._in_order, self._at_once]
        nursery.start_soon(self._call_in_order)
        nursery.start_soon(self._start_at_once)

    def put(self, handler: Handler, event: Event, size: int, key: Hashable = None) -> None:
        """An event for a handler. With a ``key`` a newer one may take its place."""
        job = _Job(handler, event, size)
        if key is not None:
            job.key = key
        (self._at_once if handler.concurrent or handler.answers else self._in_order).put(job)

    async def _call_in_order(self) -> None:
        throttle = CheckpointThrottle(self._rt, pause=HANDLERS)
        while True:
            await self._run(await self._next(self._in_order, throttle))

    async def _start_at_once(self) -> None:
        throttle = CheckpointThrottle(self._rt, pause=HANDLERS)
        while True:
            job = await self._next(self._at_once, throttle)
            self._nursery.start_soon(self._run, job)
            while self._running >= _CONCURRENT:
                await self._change()

    async def _next(self, jobs: Queue[_Job], throttle: CheckpointThrottle) -> _Job:
        while True:
            if not jobs.items:
                await jobs.arrival()
                throttle.restart()
            elif perf_counter() < throttle.due:
                break
            else:
                await throttle.turn()
        self._running += 1
        return jobs.pop()

    async def _run(self, job: _Job) -> None:
        task = self._rt.current_task()
        try:
            await self._call(job.handler, job.event)
        except BaseException as exc:
            if has_failed(exc, self._rt, task):
                self._tell(exc, job)
            pass_on(exc, self._rt, task)
        finally:
            self._running -= 1
            if self._changed is not None:
                self._changed.set()
                self._changed = None

    def _tell(self, failure: BaseException, job: _Job) -> None:
        ended, etype = self._outbox.closed is not None, job.event.etype
        if ended and isinstance(failure, ConnectionClosed | ClientClosed):
            log.debug("the connection ended under the handler of %s", etype)
        elif job.handler.failures.admits():  # such an error of another connection, too
            log_failure(log, failure, "the handler of %s %s", etype, verb(failure))

    async def _change(self) -> None:
        """Park until a call has ended."""
        if self._changed is None:
            self._changed = self._rt.Event()
        await self._changed.wait()

    async def finish(self) -> None:
        """Wait until every event that was read has been handled."""
        while self._running or self._in_order.items or self._at_once.items:
            await self._change()
