"""Receiving events from an inbox."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Generic, TypeVar

from .._errors import ConnectionClosed, InboxEmpty, ProtocolError, RecvTimeout, renew
from .._formatting import must_be
from .._runtime import Runtime
from .checkpoints import CheckpointThrottle
from .policies import not_connected
from .queue import Queue

__all__ = ["Receiver"]

E = TypeVar("E")


class Receiver(Generic[E]):
    """Takes payloads from an inbox, and decodes them.

    A payload for which ``decode`` raises ProtocolError is consumed: the next call continues with
    the next one.
    """

    __slots__ = ("_decode", "_outbox", "_rt", "_taken", "inbox", "throttle", "uri")

    def __init__(self, decode: Callable[[Any], E], uri: str) -> None:
        self.inbox: Queue[Any] = not_connected(uri)
        self.throttle: CheckpointThrottle = CheckpointThrottle()
        self.uri: str = uri
        self._rt: Runtime | None = None
        self._taken = False
        self._outbox: Queue[bytes] = self.inbox
        self._decode = decode

    def connect(
        self, rt: Runtime, inbox: Queue[Any], outbox: Queue[bytes], throttle: CheckpointThrottle
    ) -> None:
        """Receive from this connection from now on."""
        self._rt, self.inbox, self._outbox, self.throttle = rt, inbox, outbox, throttle
        if self._taken:
            inbox.has_consumer = True

    def take(self) -> None:
        """Mark the inbox, also of later links, as used, so that it does not drop messages."""
        self._taken = self.inbox.has_consumer = True

    async def recv(self, iterating: bool = False) -> E:
        """Wait for the next event. Cancelled: nothing has been taken.

        ``iterating``: a normal close raises StopAsyncIteration.
        """
        inbox, throttle = self.inbox, self.throttle
        inbox.has_consumer = True
        if inbox.items:
            if perf_counter() >= throttle.due:
                await throttle.turn()
            elif throttle.asks:
                await throttle.if_cancelled()
        while not inbox.items:
            await self._wait(iterating)
        # No await between pop and return, so that cancellation cannot lose the item.
        event = self._decode(inbox.pop())
        return event if not inbox.dropped_since else self._mark(event)

    async def recv_within(self, timeout: float) -> E:
        """Like `recv`, but raises RecvTimeout after ``timeout`` seconds."""
        if not self.inbox.items and self.inbox.closed is None:
            if self.inbox.home is not None:
                self.inbox.home.check_loop()
            # Only if it must wait: a cancel scope costs more than the rest of the call.
            assert self._rt is not None
            with self._rt.move_on_after(timeout):
                return await self.recv()
            raise RecvTimeout(f"nothing from {self.uri} within {timeout:g} s")
        return await self.recv()

    def recv_nowait(self) -> E:
        """Return the next event. Raises InboxEmpty if none has arrived."""
        inbox = self.inbox
        if inbox.home is not None:
            inbox.home.check()
        inbox.has_consumer = True
        if not inbox.items:
            if inbox.closed is not None:
                raise renew(inbox.closed)
            raise InboxEmpty(f"nothing has come from {self.uri}; use `await recv()` to wait")
        return self._take()

    async def recv_many(self, limit: int | None) -> list[E]:
        """Wait for an event, and return all that have arrived, up to ``limit``.

        The list ends before a payload that cannot be decoded; the next call raises its error.
        Cancelled: nothing has been taken.
        """
        if limit is not None and limit < 1:
            raise ValueError(must_be("limit", "at least 1, or None", limit))
        inbox = self.inbox
        inbox.has_consumer = True
        if inbox.items:
            await self.throttle.turn()
        while not inbox.items:
            await self._wait()
        events = [self._take()]
        while inbox.items and len(events) != limit:
            try:
                event = self._decode(inbox.items[0])
            except ProtocolError:
                break
            inbox.pop()
            events.append(event)
        return events

    async def _wait(self, iterating: bool = False) -> None:
        inbox = self.inbox
        if inbox.home is not None:
            inbox.home.check_loop()
        error = inbox.closed
        if error is not None:
            await self.throttle.checkpoint()
            if iterating and isinstance(error, ConnectionClosed) and error.normal:
                raise StopAsyncIteration
            raise renew(error)
        await inbox.arrival()
        self.throttle.restart()
        self._outbox.write_through = self._outbox.idle_writer  # the loop has run

    def _take(self) -> E:
        event = self._decode(self.inbox.pop())
        return event if not self.inbox.dropped_since else self._mark(event)

    def _mark(self, event: E) -> E:
        """Set the number of events dropped before this one."""
        event.dropped_before = self.inbox.dropped_since  # type: ignore[attr-defined]
        self.inbox.dropped_since = 0
        return event
