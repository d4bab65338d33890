"""Handlers of events, and answers to a server's requests."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._errors import ClientClosed, ConnectionClosed, ProtocolError
from ._link.box import Box
from ._link.keeper import Keeper
from ._link.policy import Policy
from ._link.sender import Sender
from .events import ClientEvent, Event, canonical
from .freshness import Freshness

__all__ = ["Arrived", "Dispatch", "Handlers", "kind"]

log = logging.getLogger("vuer_trio.handlers")

#: handlers and answers that run beside each other; those above it wait their turn
_CONCURRENT = 64


def kind(event: Event) -> Hashable:
    """The key of an event for a policy that names no other: its type."""
    return canonical(event.etype)


class Arrived:
    """A message that was decoded when it was read: an event, or what decoding raised.

    It has a ``key`` where the inbox keeps the newest of each.
    """

    __slots__ = ("event", "key", "size")

    key: Hashable

    def __init__(self, event: Event | ProtocolError, size: int) -> None:
        self.event = event
        self.size = size

    def __len__(self) -> int:
        return self.size


@dataclass(slots=True, eq=False)
class _Handler:
    fn: Callable[[Any], Any]
    once: bool = False
    concurrent: bool = False
    answers: bool = False


@dataclass(slots=True)
class Handlers:
    """Who is to be called for which event type. It outlives the links."""

    _table: dict[str, list[_Handler]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._table)

    def add(self, etype: str, handler: _Handler) -> Callable[[], None]:
        """Register; returns what takes it back, twice is harmless."""
        if not isinstance(etype, str):
            raise TypeError(f"etype={etype!r}: write an event type, 'SET'")
        if not callable(handler.fn):
            raise TypeError(f"the handler of {etype} is not callable: {handler.fn!r}")
        present = self._table.setdefault(canonical(etype), [])
        if handler.answers and any(other.answers for other in present):
            raise ValueError(f"{etype} is answered already; take that answer back first")
        present.append(handler)
        return lambda: self.remove(etype, handler)

    def remove(self, etype: str, handler: _Handler) -> None:
        present = self._table.get(canonical(etype), [])
        if handler in present:
            present.remove(handler)
            if not present:
                del self._table[canonical(etype)]

    def of(self, etype: str) -> Sequence[_Handler]:
        """The handlers to call now; those that are called once are gone then."""
        present = self._table.get(canonical(etype))
        if present is None:
            return ()
        found = tuple(present)
        for handler in found:
            if handler.once:
                self.remove(etype, handler)
        return found


def register(
    handlers: Handlers, etype: str, fn: Callable[[Any], Any] | None, **options: bool
) -> Any:
    """``fn`` given: register it and return its clean-up. Else: return a decorator."""
    if fn is not None:
        return handlers.add(etype, _Handler(fn, **options))

    def decorate(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
        handlers.add(etype, _Handler(fn, **options))
        return fn

    return decorate


class _Job:
    """An event on its way to a handler. It has a ``key`` if a newer one may take its place."""

    __slots__ = ("event", "handler", "key", "size")

    key: Hashable

    def __init__(self, handler: _Handler, event: Event, size: int) -> None:
        self.handler, self.event, self.size = handler, event, size

    def __len__(self) -> int:
        return self.size


class Dispatch:
    """Sees what one link reads, before the inbox: decodes it, and calls the handlers.

    One task calls them in the order of the events; another starts those that are not to wait. The
    queues of calls have the policy of the inbox: a full one stops the reader, or drops the oldest.
    Reading only fills the queues: on asyncio it happens in a callback of the loop's, where no task
    can be started.
    """

    def __init__(
        self,
        keeper: Keeper,
        handlers: Handlers,
        decode: Callable[[Any], Event],
        sender: Sender[ClientEvent],
        policy: Policy,
        freshness: Freshness[Any],
    ) -> None:
        self._keeper = keeper
        self._handlers = handlers
        self._decode = decode
        self._sender = sender
        self._freshness = freshness
        self._key_function = policy.key_function(kind)
        self._in_order: Box[_Job] = policy.for_calls().open(keeper.rt)
        self._at_once: Box[_Job] = policy.for_calls().open(keeper.rt)
        self._running = 0
        self._changed: Any = None  # an event for the end of the next call
        keeper.boxes += [self._in_order, self._at_once]
        keeper.tap = self.tap
        keeper.afterwards = self.finish
        keeper.nursery.start_soon(self._call_in_order)
        keeper.nursery.start_soon(self._start_at_once)

    def tap(self, messages: Sequence[Any], at: float) -> list[Arrived]:
        """Decode, call, and return what goes into the inbox: all but answered requests."""
        arrived = []
        freshness = self._freshness
        if not (tracking := freshness.tracking):
            freshness.note(messages, at)
        for message in messages:
            size = len(message)
            try:
                event = self._decode(message)
            except ProtocolError as exc:
                arrived.append(Arrived(exc, size))
                continue
            if tracking:
                freshness.saw(event, size, at)
            item = Arrived(event, size)
            if self._key_function is not None:
                self._set_key(item, event, self._key_function)
            answered = False
            for handler in self._handlers.of(event.etype):
                if handler.answers:
                    if not isinstance(getattr(event, "rtype", None), str):
                        continue
                    answered = True
                at_once = handler.concurrent or handler.answers
                jobs = self._at_once if at_once else self._in_order
                job = _Job(handler, event, size)
                if not handler.answers and hasattr(item, "key"):
                    job.key = (handler, item.key)
                jobs.put(job)
            if not answered:
                arrived.append(item)
        return arrived

    def _set_key(self, item: Arrived, event: Event, function: Callable[[Any], Hashable]) -> None:
        try:
            key = function(event)
            hash(key)
        except Exception:  # of the user's: the reader goes on
            log.exception("the key function of the inbox raised for %s", event.etype)
        else:
            item.key = key

    async def _call_in_order(self) -> None:
        while True:
            await self._run_job(await self._next(self._in_order))

    async def _start_at_once(self) -> None:
        while True:
            job = await self._next(self._at_once)
            self._keeper.nursery.start_soon(self._run_job, job)
            while self._running >= _CONCURRENT:
                await self._change()

    async def _next(self, jobs: Box[_Job]) -> _Job:
        while not jobs.items:
            await jobs.arrival()
        self._running += 1
        return jobs.pop()

    async def _run_job(self, job: _Job) -> None:
        try:
            await self._run(job.handler, job.event)
        finally:
            self._running -= 1
            if self._changed is not None:
                self._changed.set()
                self._changed = None

    async def _change(self) -> None:
        """Park until a call has ended."""
        if self._changed is None:
            self._changed = self._keeper.rt.Event()
        await self._changed.wait()

    async def _run(self, handler: _Handler, event: Event) -> None:
        try:
            result = handler.fn(event)
            if inspect.isawaitable(result):
                result = await result
            if handler.answers:
                key = {"key": event.key} if hasattr(event, "key") else {}
                reply = ClientEvent(etype=event.rtype, value=result, **key)
                await self._sender(reply)
        except (ConnectionClosed, ClientClosed):
            log.debug("the connection ended under the handler of %s", event.etype)
        except Exception:
            log.exception("the handler of %s raised", event.etype)

    async def finish(self) -> None:
        """After the end of the link: wait until every event that was read has been handled."""
        while self._running or self._in_order.items or self._at_once.items:
            await self._change()
