"""Handlers of events: who is called for which type, and the tasks that call them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine, Hashable, Iterator, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ._connection.begun import Begun
from ._connection.checkpoints import HANDLERS, CheckpointThrottle
from ._connection.log_limit import LogLimit
from ._connection.policies import Policy
from ._connection.queue import Queue
from ._connection.received_item import ReceivedItem
from ._errors import ClientClosed, ConnectionClosed
from ._failures import contain, has_failed, log_failure, pass_on, verb
from ._formatting import must_be
from ._interrupts import protected_methods
from ._runtime import Runtime
from ._signatures import check_takes
from .events import Event, canonical

if TYPE_CHECKING:
    from ._async_types import AsyncEvent, Nursery

__all__ = ["Handler", "HandlerRunner", "Handlers", "QueueWorker", "kind", "register"]

log = logging.getLogger("vuer_trio.handlers")

Q = TypeVar("Q", bound=Sized)  # its length is in bytes

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
    _added: int = 0  # in all
    #: what `of` has found, where it will find the same again
    _found: dict[str, Sequence[Handler]] = field(default_factory=dict)

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
        handler.place = self._added = self._added + 1
        present.append(handler)
        self._found.clear()
        return lambda: self.remove(etype, handler)

    def remove(self, etype: str, handler: Handler) -> None:
        present = self._table.get(canonical(etype), [])
        if handler in present:
            self._found.clear()
            present.remove(handler)
            if not present:
                del self._table[canonical(etype)]

    def functions(self) -> Iterator[Callable[..., Any]]:
        """All that may be called."""
        for present in self._table.values():
            for handler in present:
                yield handler.fn

    def of(self, etype: str) -> Sequence[Handler]:
        """The handlers to call now, in their order; those that are called once are gone then."""
        found = self._found.get(etype)
        return self._find(etype) if found is None else found

    def _find(self, etype: str) -> Sequence[Handler]:
        present = self._table.get(canonical(etype))
        every = self._table.get(EVERY)
        if present is None and every is None:
            return ()
        found = [*(present or ())]
        if every is not None and etype != EVERY:
            found += every
            found.sort(key=_place)
        if present is not None:  # a peer may name any number of the other types
            self._found[etype] = tuple(found)
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
class QueueWorker:
    """Takes calls out of queues, and knows when none is left."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._running = 0
        self._changed: AsyncEvent | None = None  # an event for the end of the next call

    async def _next(self, queue: Queue[Q], throttle: CheckpointThrottle) -> Q:
        """Wait for the next call, which runs until `_done`."""
        while True:
            if not queue.items:
                await queue.arrival()
                throttle.restart()
            elif perf_counter() < throttle.due:
                break
            else:
                await throttle.turn()
        self._running += 1
        return queue.pop()

    def _done(self) -> None:
        self._running -= 1
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def _change(self) -> None:
        """Park until a call has ended."""
        if self._changed is None:
            self._changed = self._rt.Event()
        await self._changed.wait()


@protected_methods
class HandlerRunner(QueueWorker):
    """Calls the handlers of one connection.

    One task calls them in the order of the events; another starts those that are not to wait. Each
    is there from the first call on, for an idle task takes 3 KiB. The queues of calls have the
    policy of the inbox: a full one stops the reader, or drops the oldest, and ``stop_for`` is told
    of each.
    """

    def __init__(
        self,
        rt: Runtime,
        nursery: Nursery,
        handlers: Handlers,
        policy: Policy,
        call: Callable[[Handler, Event], Coroutine[Any, Any, object]],
        outbox: Queue[Any],
        stop_for: Callable[[Queue[Any]], None],
        explain: Callable[[BaseException], None] | None = None,
    ) -> None:
        super().__init__(rt)
        self._explain = explain  # to what a handler raised, before it is logged
        self._nursery = nursery
        self._handlers = handlers
        self._key_function = policy.key_function(kind)
        #: whether the inbox keeps the newest of each kind
        self.keyed: bool = self._key_function is not None
        self._call = call
        self._outbox = outbox  # closed with the connection
        self._policy = policy
        self._stop_for = stop_for
        self._in_order: Queue[_Job] | None = None
        self._at_once: Queue[_Job] | None = None

    def _open_queue(self, task: Callable[[Queue[_Job]], Coroutine[Any, Any, None]]) -> Queue[_Job]:
        """A queue, and the task that takes calls out of it."""
        queue: Queue[_Job] = self._policy.for_calls().open(self._rt)
        self._stop_for(queue)
        with suppress(RuntimeError):  # the nursery has just ended, and the handlers with it
            self._nursery.start_soon(task, queue)
        return queue

    def receive(self, event: Event, size: int, item: ReceivedItem[Any] | None = None) -> bool:
        """Have an event handled; whether somebody answers it, so that nobody else gets it.

        ``item`` is what is to go into the inbox, if that is `keyed`: it gets its key, and calls of
        one handler replace each other likewise; an answer is of no kind.
        """
        if item is not None and self._key_function is not None:
            _set_key(item, event, self._key_function)
        answered = False
        for handler in self._handlers.of(event.etype):
            job = _Job(handler, event, size)
            if handler.answers:
                if not isinstance(getattr(event, "rtype", None), str):
                    continue
                answered = True
            elif item is not None and hasattr(item, "key"):
                job.key = (handler, item.key)
            if handler.concurrent or handler.answers:
                if self._at_once is None:
                    self._at_once = self._open_queue(self._start_at_once)
                self._at_once.put(job)
            else:
                if self._in_order is None:
                    self._in_order = self._open_queue(self._call_in_order)
                self._in_order.put(job)
        return answered

    async def _call_in_order(self, queue: Queue[_Job]) -> None:
        throttle = CheckpointThrottle(self._rt, pause=HANDLERS)
        call, outbox = self._call, self._outbox
        task = self._rt.current_task()
        while True:
            if queue.items and perf_counter() < throttle.due:  # as `_next`, without its coroutine
                self._running += 1
                job = queue.pop()
            else:
                job = await self._next(queue, throttle)
            try:
                coroutine = call(job.handler, job.event)
                if outbox.idle_writer is None or queue.items:
                    await coroutine
                    continue
                # An answer is most often one small message, sent before the first await that
                # waits: it is written at the end of that step, and no writer wakes for it.
                outbox.wake_later()
                try:
                    awaited = coroutine.send(None)
                except StopIteration:
                    continue
                finally:
                    outbox.wake_now()
                await Begun(coroutine, awaited)
            except BaseException as exc:
                self._failed(exc, job, task)
            finally:
                self._done()

    async def _start_at_once(self, queue: Queue[_Job]) -> None:
        throttle = CheckpointThrottle(self._rt, pause=HANDLERS)
        while True:
            job = await self._next(queue, throttle)
            self._nursery.start_soon(self._run, job)
            while self._running >= _CONCURRENT:
                await self._change()

    async def _run(self, job: _Job) -> None:
        task = self._rt.current_task()
        try:
            await self._call(job.handler, job.event)
        except BaseException as exc:
            self._failed(exc, job, task)
        finally:
            self._done()

    def _failed(self, exc: BaseException, job: _Job, task: object) -> None:
        """Log what a handler has raised, and raise what goes on."""
        if has_failed(exc, self._rt, task):
            if self._explain is not None:
                self._explain(exc)
            self._tell(exc, job)
        try:
            pass_on(exc, self._rt, task)
        finally:
            del exc  # whose traceback holds this frame

    def _tell(self, failure: BaseException, job: _Job) -> None:
        ended, etype = self._outbox.closed is not None, job.event.etype
        if ended and isinstance(failure, ConnectionClosed | ClientClosed):
            log.debug("the connection ended under the handler of %s", etype)
        elif job.handler.failures.admits():  # such an error of another connection, too
            log_failure(log, failure, "the handler of %s %s", etype, verb(failure))

    @property
    def busy(self) -> bool:
        """Whether there are events that were read and have not been handled."""
        queues = (self._in_order, self._at_once)
        return bool(self._running or any(queue and queue.items for queue in queues))

    async def finish(self) -> None:
        """Wait until every event that was read has been handled."""
        while self.busy:
            await self._change()


def _set_key(item: ReceivedItem[Any], event: Event, function: Callable[[Any], Hashable]) -> None:
    """Give an item its key for a policy of the newest of each."""
    try:
        key = function(event)
        hash(key)
    except BaseException as exc:  # of the user's: the reader goes on
        contain(exc, log, "the key function of the inbox raised for %s", event.etype)
    else:
        item.key = key
