"""One link: a reader, one owner that writes, a heartbeat, the close.

It knows no Vuer, and no other link. It carries payloads from an outbox to a transport and from the
transport to its handler, and returns how it ended.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, Protocol

from .._failures import as_exception, describe, has_failed, log_failure, pass_on
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import CloseInfo, Message, Outgoing, Transport
from .keepalive import Keepalive
from .outbox import Outbox
from .standstill import Standstill

__all__ = ["CLEANUP", "LEFT", "Link", "LinkHandler"]

log = logging.getLogger("vuer_trio.link")

#: bytes joined into one write; a pong waits for no more than this, or for one message
_CHUNK = 524_288
#: seconds that closing a stream may take when the task is cancelled
CLEANUP = 1.0
#: the end of a link that was cancelled
LEFT = CloseInfo("us", 1001, "this side left at once")


class LinkHandler(Protocol):
    """What a link tells its connection."""

    async def dial(self, link: Link, nursery: Any) -> Transport:
        """Open the transport."""

    def link_opened(self, link: Link) -> Sequence[Outgoing] | None:
        """Nothing has been read; what goes out first, or None if the link is not wanted."""

    def data_received(self, size: int) -> None:
        """So many bytes have arrived."""

    def messages_received(self, messages: Sequence[Message], at: float) -> bool:
        """Messages were read at that time; whether the reader is to stop."""

    def pong_received(self, payload: bytes) -> None:
        """The peer has read everything before that ping."""

    def link_ended(self, link: Link, close_info: CloseInfo) -> None:
        """Nothing more is read or written; the stream may still be open."""


@protected_methods
class Link:
    """`run` is its life; `leave` ends it cleanly."""

    def __init__(
        self,
        rt: Runtime,
        uri: str,
        handler: LinkHandler,
        outbox: Outbox,
        reader_gate: Standstill,
        keepalive: Keepalive,
        close_timeout: float,
    ) -> None:
        self.rt = rt
        self.uri = uri
        self._handler = handler
        self._outbox = outbox
        self._reader_gate = reader_gate
        self._keepalive = keepalive
        self._close_timeout = close_timeout
        self.close_info: CloseInfo | None = None
        self._now = self.rt.clock()
        self.heard_at: float = self._now()
        self.opened_at: float | None = None  # None: the handler knows nothing of it
        self.ended_at: float = 0.0
        self.transport: Transport | None = None
        self.writing: bool = False
        self._writing_since = 0.0  # the latest call of `Transport.write`
        #: what is being written, and has not been counted as written
        self.batch: list[Outgoing] = []
        self._preamble: list[Outgoing] = []  # goes out first
        self._ended = self.rt.Event()
        self._reading = self.rt.CancelScope()
        self._idle: Any = None  # an event for the writer to set when nothing is left

    # ---- life

    async def run(self) -> CloseInfo:
        """Dial, then carry until the end; nothing of the connection is left then.

        Raises what the dial raises. Cancelled: ends at once, with `Transport.abort`.
        """
        failure: BaseException | None = None
        task = self.rt.current_task()
        try:
            async with self.rt.open_nursery() as nursery:
                try:
                    self.transport = await self._handler.dial(self, nursery)
                except BaseException as exc:  # it may be of a hook's, or of a stream of the user's
                    pass_on(exc, self.rt, task)
                    failure = exc
                else:
                    if self._open():
                        await self._carry(self.transport)
                nursery.cancel_scope.cancel()
        except BaseException as exc:
            self._report("a task", exc, task)
        finally:
            await self._vanish()
        if failure is not None:
            raise as_exception(failure)
        assert self.close_info is not None
        return self.close_info

    def _open(self) -> bool:
        self.opened_at = self.heard_at = self.rt.current_time()
        preamble = self._handler.link_opened(self)
        if preamble is None:  # it was closed in the dial's last step
            self.opened_at = None
            return False
        self._preamble = list(preamble)
        return True

    async def _carry(self, transport: Transport) -> None:
        task = self.rt.current_task()
        async with self.rt.open_nursery() as tasks:
            tasks.start_soon(self._write, transport)
            if self._keepalive.interval != math.inf:
                tasks.start_soon(self._keepalive.beat, self, transport)
            try:
                with self._reading:
                    self._end(await transport.read())
            except BaseException as exc:
                self._report("the reader", exc, task)
            if self.close_info is not None and self.close_info.by != "loss":
                with self.rt.move_on_after(self._close_timeout):
                    await transport.read_on()
            tasks.cancel_scope.cancel()

    def _report(self, what: str, exc: BaseException, task: object) -> None:
        """A bug of ours, or in a stream of the user's: told to the user as what it is."""
        if has_failed(exc, self.rt, task):
            log_failure(log, exc, "%s of %s failed", what, self.uri)
            self._end(CloseInfo("loss", 1006, f"{what} failed: {describe(exc, repr)}", exc))
        pass_on(exc, self.rt, task)

    async def _vanish(self) -> None:
        transport = self.transport
        if transport is None:
            return
        if self.close_info is None:
            opened = self.opened_at is not None
            transport.abort([*self._preamble, *self._outbox.queue.items] if opened else ())
            self._end(LEFT)
        deadline = self.rt.current_time() + CLEANUP
        with self.rt.CancelScope(shield=True, deadline=deadline):
            await transport.aclose()

    def _end(self, close_info: CloseInfo) -> None:
        """The first ending stays."""
        if self.close_info is None:
            self.close_info = close_info
            self.ended_at = self.rt.current_time()
            self._ended.set()
            self._notice_idle()
            if self.opened_at is not None:
                self._handler.link_ended(self, close_info)

    def lose(self, reason: str, cause: BaseException | None = None) -> None:
        """The link is lost."""
        self._end(CloseInfo("loss", 1006, reason, cause))
        self._reading.cancel()

    def fail(self, code: int, reason: str) -> None:
        """The link ends for a protocol error by the peer."""
        assert self.transport is not None
        self.transport.fail(code, reason)

    def dismiss(self, code: int, reason: str) -> None:
        """The link ends for what the peer does not do.

        The close frame goes before all that waits; ``close_timeout`` bounds how long the peer has
        to take it, and what is being written.
        """
        self.fail(code, reason)
        self._end(CloseInfo("us", code, reason))
        self._reading.cancel()

    @property
    def writing_since(self) -> float | None:
        """When a byte left last, of what is being written, or when that began; None while there
        is nothing to be written."""
        if self.transport is None or not self.writing:
            return None
        return max(self._writing_since, self.transport.progress)

    @property
    def buffered(self) -> int:
        """Bytes of messages that are not whole yet."""
        return self.transport.buffered if self.transport is not None else 0

    @property
    def unfinished(self) -> int:
        """Messages that were begun and not finished, one by one: 0 or 1."""
        return self.transport.unfinished if self.transport is not None else 0

    # ---- leaving

    async def leave(self, code: int, reason: str) -> None:
        """Drain the outbox, then queue the close frame.

        ``close_timeout`` bounds the time without progress, after which the link is lost.
        """
        transport, outbox, close_timeout = self.transport, self._outbox, self._close_timeout
        assert transport is not None
        since = self.rt.current_time()
        while self.close_info is None and (self._busy(transport) or outbox.unconfirmed):
            self._idle = self.rt.Event()
            since = max(since, transport.progress, outbox.confirmed_at)
            left = since + close_timeout - self.rt.current_time()
            if left <= 0:
                what = "written" if self._busy(transport) else "confirmed"
                self.lose(f"nothing could be {what} for {close_timeout:g} s")
                break
            with self.rt.move_on_after(left):
                await self._idle.wait()
        if self.close_info is None:
            transport.close(code, reason)

    def _busy(self, transport: Transport) -> bool:
        waits = self._preamble or self._outbox.queue.items
        return bool(waits or self.writing or transport.pending)

    def _notice_idle(self) -> None:
        if self._idle is not None:
            self._idle.set()

    # ---- writing

    async def _write(self, transport: Transport) -> None:
        """The owner: nobody else writes."""
        task = self.rt.current_task()
        try:
            await self._write_all(transport)
        except OSError as exc:
            # The reader knows better why: a close frame may be on its way.
            with self.rt.move_on_after(self._close_timeout):
                await self._ended.wait()
            self.lose(f"a write failed: {exc}", exc)
        except BaseException as exc:
            self._report("the writer", exc, task)
            self._reading.cancel()

    async def _write_all(self, transport: Transport) -> None:
        outbox, queue = self._outbox, self._outbox.queue
        preamble, self._preamble = self._preamble, []
        if preamble:
            outbox.show(preamble)
            await self._write_batch(transport, preamble)
        while True:
            if self.close_info is None:
                self.batch = queue.take(_CHUNK)
            if self.batch or transport.pending:
                outbox.writing(self.batch)
                await self._write_batch(transport, self.batch)
                batch, self.batch = self.batch, []
                outbox.written(batch)
            else:
                # An idle connection does not keep what it sent last; a busy one does, until it has
                # more: memory that is given back for each large message costs a fifth of the rate.
                batch = []
                self._notice_idle()
                if self.close_info is None and outbox.may_write_through:
                    queue.idle_writer = queue.write_through = self._write_now
                await queue.arrival()

    async def _write_batch(self, transport: Transport, batch: Sequence[Outgoing]) -> None:
        self.writing, self._writing_since = True, self._now()
        await transport.write(batch)
        self.writing = False

    def _write_now(self, payload: Outgoing) -> bool:
        """Write a lone message in the caller's own step: no other task need wake."""
        assert self.transport is not None
        done = self.transport.write_now(payload)
        if done:
            self._outbox.written_through(payload)
        return done

    # ---- the transport's view (Sink)

    def deliver(self, messages: Sequence[Message]) -> bool:
        """Messages for the handler; whether the reader is to stop."""
        return self._handler.messages_received(messages, self.heard_at)

    def heard(self, size: int) -> None:
        """The peer is alive."""
        self.heard_at = self._now()
        self._handler.data_received(size)

    def ponged(self, payload: bytes) -> None:
        """The peer has read everything before that ping."""
        self._handler.pong_received(payload)
        self._notice_idle()

    def wake_writer(self) -> None:
        """The transport has frames of its own to write."""
        self._outbox.queue.wake()

    @property
    def full(self) -> bool:
        """Whether the reader is to stop."""
        return self._reader_gate.full

    async def drained(self) -> None:
        """Keep the reader waiting for room."""
        try:
            await self._reader_gate.drained(self._keepalive.awaited.fail)
        finally:
            self.heard_at = self.rt.current_time()

    async def turn(self) -> None:
        """Let the other tasks run."""
        await self.rt.checkpoint()
