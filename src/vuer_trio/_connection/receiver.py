"""The ways to receive."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Generic, TypeVar

from .._errors import ConnectionClosed, InboxEmpty, ProtocolError, RecvTimeout, renew
from .._formatting import must_be
from .._runtime import Runtime
from .checkpoints import CheckpointThrottle
from .queue import Queue

__all__ = ["Receiver"]

E = TypeVar("E")


class Receiver(Generic[E]):
    """Takes payloads out of an inbox, and decodes them.

    ``decode`` raises ProtocolError for what it cannot; that payload is taken, and the next call
    gets the next one.
    """

    __slots__ = ("_decode", "_outbox", "_rt", "_taken", "inbox", "throttle", "uri")

    def __init__(
        self,
        inbox: Queue[Any],
        outbox: Queue[bytes],
        decode: Callable[[Any], E],
        throttle: CheckpointThrottle,
        uri: str,
    ) -> None:
        self.inbox: Queue[Any] = inbox
        self.throttle: CheckpointThrottle = throttle
        self.uri: str = uri
        self._rt: Runtime | None = None
        self._taken = False
        self._outbox = outbox
        self._decode = decode

    def connect(
        self, rt: Runtime, inbox: Queue[Any], outbox: Queue[bytes], throttle: CheckpointThrottle
    ) -> None:
        """Receive from another link from now on."""
        self._rt, self.inbox, self._outbox, self.throttle = rt, inbox, outbox, throttle
        if self._taken:
            inbox.has_consumer = True

    def take(self) -> None:
        """Somebody is going to receive, from later links too: nothing is dropped for want of a
        first `recv`."""
        self._taken = self.inbox.has_consumer = True

    async def recv(self, iterating: bool = False) -> E:
        """Wait for the next event. Cancelled: nothing has been taken.

        ``iterating``: a normal close raises StopAsyncIteration.
        """
        inbox, throttle = self.inbox, self.throttle
        inbox.has_consumer = True
        if inbox.items:
            if perf_counter() < throttle.due:
                await throttle.if_cancelled()
            else:
                await throttle.turn()
        while not inbox.items:
            await self._wait(iterating)
        # No await between the pop and the return: what is taken is returned.
        event = self._decode(inbox.pop())
        return event if not inbox.dropped_since else self._mark(event)

    async def recv_within(self, timeout: float) -> E:
        """As `recv`. Raises RecvTimeout after ``timeout`` seconds."""
        if not self.inbox.items and self.inbox.closed is None:
            if self.inbox.home is not None:
                self.inbox.home.check_loop()
            # A scope costs more than all the rest of a call that need not wait.
            assert self._rt is not None
            with self._rt.move_on_after(timeout):
                return await self.recv()
            raise RecvTimeout(f"nothing from {self.uri} within {timeout:g} s")
        return await self.recv()

    def recv_nowait(self) -> E:
        """The next event, if it is there. Raises InboxEmpty if not."""
        inbox = self.inbox
        if inbox.home is not None:
            inbox.home.check()
        inbox.has_consumer = True
        if not inbox.items:
            if inbox.closed is not None:
                raise renew(inbox.closed)
            raise InboxEmpty(f"nothing from {self.uri} is there; `await recv()` waits for it")
        return self._take()

    async def recv_many(self, limit: int | None) -> list[E]:
        """Wait for one event, and return all that are there, up to ``limit``.

        What cannot be decoded ends the list, and is raised by the call whose first it is.
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
        self._outbox.write_through = self._outbox.idle_writer  # the loop has turned

    def _take(self) -> E:
        event = self._decode(self.inbox.pop())
        return event if not self.inbox.dropped_since else self._mark(event)

    def _mark(self, event: E) -> E:
        """Tell the event how many were dropped before it."""
        event.dropped_before = self.inbox.dropped_since  # type: ignore[attr-defined]
        self.inbox.dropped_since = 0
        return event
