"""One connection's life, in one nursery: a reader, one owner that writes, a heartbeat, the close.

The link knows no Vuer. It carries payloads from an outbox to a transport and from the transport
to an inbox, and says how it ended by closing both with the error that their users are to raise.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any

from .._errors import ClientClosed, ConnectionClosed, InboxFull, VuerError, renew
from .._runtime import Runtime, protected
from .._transport.base import Ending, Message, Outgoing, Ping, Transport
from .box import Box
from .counters import Counters
from .endings import closed_error
from .pings import Pings

__all__ = ["CLEANUP", "Link", "State"]

log = logging.getLogger("vuer_trio.link")

#: bytes joined into one write; a pong waits for no more than this, or for one message
_CHUNK = 524_288
#: seconds that a full inbox stops the reader before pending flushes fail, and before a warning
_FLUSH_PATIENCE = 1.0
_WARN_AFTER = 10.0
#: seconds that closing a stream may take when the task is cancelled
CLEANUP = 1.0


class State(Enum):
    """Of a link."""

    OPENING = "opening"
    OPEN = "open"
    LEAVING = "leaving"  # this side closes: drain, close frame, answer
    ENDED = "ended"  # the peer closed, or the link is lost; the stream may still be open
    GONE = "gone"  # nothing of it is left


class Link:
    """`run` is its life; `aclose` ends it in order, `abort` at once.

    ``dial(link, nursery)`` opens the transport. ``tap(messages)``, if there is one, sees what
    arrives and returns what goes into the inbox. The messages of ``preamble`` go out first, and
    do not count. A ``shielded`` link is ended by `aclose` and `abort` only, one of which must
    follow: in the block of its user, clean-up in a cancelled body can still send.
    """

    def __init__(
        self,
        rt: Runtime,
        uri: str,
        dial: Callable[[Any, Any], Awaitable[Transport]],
        inbox: Box[Any],
        outbox: Box[Any],
        *,
        heartbeat: float,
        close_timeout: float,
        preamble: Sequence[bytes] = (),
        shielded: bool = False,
    ) -> None:
        self.rt = rt
        self.uri = uri
        self.inbox = inbox
        self.outbox = outbox
        self.heartbeat = heartbeat
        self.close_timeout = close_timeout
        self.state = State.OPENING
        self.ending: Ending | None = None
        self.counters = Counters()
        self.tap: Callable[[Sequence[Message]], Sequence[Any]] | None = None
        #: what is to be done between the handshake and the first event, once
        self.on_open: Callable[[Link], None] | None = None
        #: what is to be done after the end, before the nursery is cancelled
        self.afterwards: Callable[[], Awaitable[None]] | None = None
        #: the boxes that stop the reader when they are full
        self.boxes: list[Box[Any]] = [inbox]
        self.nursery: Any = None
        self.heard_at = rt.current_time()
        self.transport_name = ""
        self.subprotocol: str | None = None
        self.gone = rt.Event()  # the connection is; handlers may still run
        self.over = rt.Event()
        self._ended = rt.Event()
        self._dial = dial
        self._preamble = preamble
        self._transport: Transport | None = None
        self._scope = rt.CancelScope(shield=shielded)
        self._reading = rt.CancelScope()
        self._batch: list[Outgoing] = []  # what is being written
        self.writing = False
        self._idle: Any = None  # an event for the writer to set when nothing is left
        self.stopped = False  # the reader waits for room
        self.pings = Pings(self)
        self._unsent = 0  # messages that never went out whole; known when the link is gone

    # ---- life

    @protected
    async def run(self, task_status: Any) -> None:
        """Dial, then carry until the end.

        ``task_status.started()`` gets None, or what the dial failed with. Raises nothing but a
        cancellation, which ends the link at once.
        """
        failure: Exception | None = None
        try:
            with self._scope:
                async with self.rt.open_nursery() as self.nursery:
                    try:
                        self._transport = await self._dial(self, self.nursery)
                    except Exception as exc:
                        failure = exc
                    else:
                        self.state = State.OPEN
                        self.transport_name = self._transport.name
                        self.subprotocol = self._transport.subprotocol
                        if self.on_open is not None:
                            self.on_open(self)
                            self.on_open = None  # a link keeps no hold on its user
                        task_status.started(None)
                        await self._carry(self._transport)
                        if self.afterwards is not None:
                            await self.afterwards()
                    self.nursery.cancel_scope.cancel()
        finally:
            await self._vanish()
            self.over.set()
            task_status.started(failure or self._closed_here())

    async def _carry(self, transport: Transport) -> None:
        self.heard_at = self.rt.current_time()
        async with self.rt.open_nursery() as tasks:
            tasks.start_soon(self._write, transport)
            if self.heartbeat != math.inf:
                tasks.start_soon(self.pings.beat, transport)
            try:
                with self._reading:
                    self._end(await transport.read())
            except Exception as exc:  # a fault of ours: told to the user as what it is
                log.exception("the reader of %s failed", self.uri)
                self._end(Ending("loss", 1006, f"the reader failed: {exc!r}", exc))
            if self.ending is not None and self.ending.by != "loss":
                with self.rt.move_on_after(self.close_timeout):
                    await transport.read_on()
            tasks.cancel_scope.cancel()
        await self._vanish()

    async def _vanish(self) -> None:
        """Nothing of the connection is left after this, whatever ended it."""
        if self.ending is None:
            self._last_words()
            self._end(Ending("us", 1001, "this side left at once"))
        transport, self._transport = self._transport, None
        if transport is not None:
            self._unsent = transport.unfinished + sum(
                type(item) is not Ping for item in (*self._batch, *self.outbox.items)
            )
            deadline = self.rt.current_time() + CLEANUP
            with self.rt.CancelScope(shield=True, deadline=deadline):
                await transport.aclose()
        self.state = State.GONE
        self.gone.set()

    def _end(self, ending: Ending) -> None:
        """The link has ended: say so to everybody. The first ending stays."""
        if self.ending is not None:
            return
        self.ending = ending
        if self.state is State.OPEN:
            self.state = State.ENDED
        self._close_boxes(closed_error(ending, self.uri))
        self._ended.set()
        if self._idle is not None:
            self._idle.set()

    def lose(self, reason: str, cause: BaseException | None = None) -> None:
        """The link is lost."""
        self._end(Ending("loss", 1006, reason, cause))
        self._reading.cancel()

    def _close_boxes(self, error: VuerError) -> None:
        self.inbox.close(error)
        self.outbox.close(error)
        self.pings.awaited.fail(error)

    # ---- leaving

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Drain the outbox, close, and wait for the peer's answer.

        ``close_timeout`` bounds the time without progress, and the wait for the answer. Raises
        ConnectionClosed, once, with the number of messages that were not sent. Cancelled: as
        `abort`.
        """
        try:
            if self.state is State.OPEN:
                self._leave()
                await self._drain()
                if self.ending is None and self._transport is not None:
                    self._transport.close(code, reason)
            with self.rt.move_on_after(self.close_timeout):
                await self.gone.wait()
        finally:
            self._scope.cancel()
        await self.gone.wait()
        if self._unsent:
            count, self._unsent = self._unsent, 0
            assert self.ending is not None
            error = ConnectionClosed(
                f"{count} message{'s were' if count > 1 else ' was'} not sent to {self.uri}: "
                + (self.ending.reason or f"it closed with code {self.ending.code}"),
                code=self.ending.code,
                reason=self.ending.reason,
            )
            error.__cause__ = self.ending.cause
            raise error

    def abort(self) -> None:
        """End the link at once. What is enqueued is offered to the system, without waiting."""
        if self.state in (State.OPENING, State.OPEN):
            self._leave()
            count = len(self.outbox.items) + len(self._batch)
            if count:
                log.warning(
                    "left %s with %d messages enqueued; those that the system did not take at "
                    "once are lost",
                    self.uri,
                    count,
                )
        self._scope.cancel()

    def _leave(self) -> None:
        self.state = State.LEAVING
        self._close_boxes(self._closed_here())
        self.inbox.attended = False  # the reader reads on, and discards
        self.inbox.clear()

    def _closed_here(self) -> ClientClosed:
        return ClientClosed(f"the connection to {self.uri} was closed by this side")

    def _last_words(self) -> None:
        if self._transport is not None:
            self._close_boxes(self._closed_here())
            self._transport.abort([*self._preamble, *self.outbox.items])

    async def _drain(self) -> None:
        """Wait until everything enqueued is written, or nothing moves any more."""
        transport = self._transport
        assert transport is not None
        since = self.rt.current_time()
        while self.ending is None and (
            self._preamble or self.outbox.items or self.writing or transport.pending
        ):
            self._idle = self.rt.Event()
            since = max(since, transport.progress)
            left = since + self.close_timeout - self.rt.current_time()
            if left <= 0:
                self.lose(f"nothing could be written for {self.close_timeout:g} s")
                break
            with self.rt.move_on_after(left):
                await self._idle.wait()

    # ---- writing

    @protected
    async def _write(self, transport: Transport) -> None:
        """The owner: nobody else writes."""
        try:
            await self._write_all(transport)
        except OSError as exc:
            # The reader knows better why: a close frame may be on its way.
            with self.rt.move_on_after(self.close_timeout):
                await self._ended.wait()
            self.lose(f"a write failed: {exc}", exc)

    async def _write_all(self, transport: Transport) -> None:
        outbox = self.outbox
        self.writing = True
        preamble, self._preamble = self._preamble, ()
        await transport.write(preamble)
        self.writing = False
        while True:
            if self.ending is None:
                self._batch = outbox.take(_CHUNK)
            if self._batch or transport.pending:
                self.writing = True
                await transport.write(self._batch)
                self.writing = False
                self._count(self._batch)
                outbox.written(self._batch)
                self._batch = []
            else:
                if self._idle is not None:
                    self._idle.set()
                if self.ending is None:
                    outbox.lone = outbox.direct = self._write_now
                await outbox.arrival()

    def _write_now(self, payload: Outgoing) -> bool:
        """Write a lone message in the caller's own step: no other task need wake."""
        assert self._transport is not None
        done = self._transport.write_now(payload)
        if done:
            self.counters.sent += 1
            self.counters.bytes_sent += len(payload)
        return done

    def _count(self, batch: list[Outgoing]) -> None:
        self.counters.sent += len(batch)
        self.counters.bytes_sent += sum(map(len, batch))

    # ---- the transport's view (Sink)

    def deliver(self, messages: Sequence[Message]) -> None:
        """Messages for the inbox."""
        if self.state is State.OPEN:
            self.counters.received += len(messages)
            self.inbox.extend(messages if self.tap is None else self.tap(messages))

    def heard(self, size: int) -> None:
        """The peer is alive."""
        self.heard_at = self.rt.current_time()
        self.counters.bytes_received += size

    def ponged(self, payload: bytes) -> None:
        """The peer has read everything before that ping."""
        self.pings.ponged(payload)

    def wake_writer(self) -> None:
        """The transport has frames of its own to write."""
        self.outbox.wake()

    @property
    def full(self) -> bool:
        """Whether the reader is to stop."""
        return any(box.full for box in self.boxes)

    async def drained(self) -> None:
        """Keep the reader waiting while the inbox is full."""
        self.stopped = True
        try:
            with self.rt.move_on_after(_FLUSH_PATIENCE):
                await self._room()
                return
            self.pings.awaited.fail(self._stalled())
            with self.rt.move_on_after(_WARN_AFTER - _FLUSH_PATIENCE):
                await self._room()
                return
            log.warning(
                "the inbox of %s has been full for %g s, so nothing is read: receive more often, "
                "or open it with a larger inbox=Fifo(...)",
                self.uri,
                _WARN_AFTER,
            )
            await self._room()
        finally:
            self.stopped = False
            self.heard_at = self.rt.current_time()

    async def _room(self) -> None:
        while self.full:
            for box in self.boxes:
                await box.drained()

    def _stalled(self) -> InboxFull:
        return InboxFull(
            f"the inbox of {self.uri} is full ({len(self.inbox.items)} messages), so no answer "
            "can be read: receive first"
        )

    async def flush(self) -> None:
        """Wait until the peer has read everything enqueued so far: it answers a ping behind it.

        Raises InboxFull when the answer can not be read, or what ended the link.
        """
        if self.outbox.closed is not None:
            raise renew(self.outbox.closed)
        if self.stopped:
            raise self._stalled()
        await self.pings.flush()
