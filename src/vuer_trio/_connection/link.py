"""One link: a reader, one owner that writes, a heartbeat, the close.

It knows no Vuer, and no other link. It carries payloads from an outbox to a transport and from the
transport, past the handler, to an inbox, and returns how it ended.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Protocol

from .._failures import as_exception, describe, has_failed, log_failure, pass_on
from .._interrupts import protected_methods
from .._memory import keep_freed_memory
from .._runtime import Runtime
from .._websocket.transport import CloseInfo, Message, Outgoing, Transport
from .handler import ConnectionHandler
from .observers import tell_observers
from .send_window import SendWindow
from .state import State
from .traffic import Traffic

if TYPE_CHECKING:
    from .._async_types import AsyncEvent

__all__ = ["CLEANUP", "LEFT", "Link", "LinkOwner"]

log = logging.getLogger("vuer_trio.link")

_OPEN = State.OPEN
#: bytes joined into one write; a pong waits for no more than this, or for one message. Four times
#: as much is too much for a processor's cache, and costs a quarter more.
_CHUNK = 131_072
#: bytes of a batch whose memory is worth keeping
_LONG = 1_048_576
#: seconds that closing a stream may take when the task is cancelled
CLEANUP = 1.0
#: the end of a link that was cancelled
LEFT = CloseInfo("us", 1001, "this side left at once")


class LinkOwner(Protocol):
    """What a link sees of its connection."""

    #: what is read counts only while this is `State.OPEN`
    state: State

    def link_opened(self, link: Link) -> Sequence[Outgoing] | None:
        """Nothing has been read; what goes out first, or None if the link is not wanted."""

    def link_ended(self, link: Link, close_info: CloseInfo) -> None:
        """Nothing more is read or written; the stream may still be open."""


@protected_methods
class Link:
    """`run` is its life; `leave` ends it cleanly."""

    # As a dict so many would take 1.5 KiB, for each session.
    __slots__ = (
        "_close_timeout",
        "_counters",
        "_ended",
        "_handler",
        "_idle",
        "_inbox",
        "_keepalive",
        "_now",
        "_nursery",
        "_observers",
        "_opening",
        "_outbox",
        "_owner",
        "_preamble",
        "_reader_gate",
        "_reading",
        "_replay",
        "_unfinished",
        "_window",
        "_writing_since",
        "asking",
        "batch",
        "close_info",
        "ended_at",
        "heard_at",
        "opened_at",
        "rt",
        "transport",
        "uri",
        "writing",
    )

    def __init__(
        self,
        rt: Runtime,
        uri: str,
        owner: LinkOwner,
        handler: ConnectionHandler,
        traffic: Traffic,
        close_timeout: float,
    ) -> None:
        self.rt: Runtime = rt
        self.uri: str = uri
        self._owner = owner
        self._handler = handler
        self._inbox = traffic.inbox
        self._outbox = traffic.outbox
        self._reader_gate = traffic.reader_gate
        self._keepalive = traffic.keepalive
        self._replay = traffic.replay
        self._counters = traffic.counters
        self._observers = traffic.observers
        self._close_timeout = close_timeout
        self.close_info: CloseInfo | None = None
        self._now = self.rt.clock()
        self.heard_at: float = self._now()
        self.opened_at: float | None = None  # None: the owner knows nothing of it
        self.ended_at: float = 0.0
        self.transport: Transport | None = None  # before the dial, and at the end
        self._unfinished = 0
        self.writing: bool = False
        self._writing_since = 0.0  # the latest call of `Transport.write`
        #: what is being written, and has not been counted as written
        self.batch: list[Outgoing] = []
        self._preamble: list[Outgoing] = []  # goes out first
        self.asking: bool = False  # for a sign of life
        self._nursery: Any = None  # once it carries
        self._ended: AsyncEvent | None = None  # once the writer waits for the end
        self._reading = self.rt.CancelScope()
        self._idle: Any = None  # an event for the writer to set when nothing is left
        self._window = SendWindow.of(self._outbox.in_flight)
        self._opening: Any = None  # an event for the writer to wait for until the window opens

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
                        await self._carry(self.transport, nursery)
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
        preamble = self._owner.link_opened(self)
        if preamble is None:  # it was closed in the dial's last step
            self.opened_at = None
            return False
        self._preamble = list(preamble)
        return True

    async def _carry(self, transport: Transport, nursery: Any) -> None:
        task = self.rt.current_task()
        nursery.start_soon(self._write, transport)
        self._nursery = nursery
        if self._keepalive.beats:
            nursery.start_soon(self._keepalive.beat, self, transport)
        try:
            with self._reading:
                self._end(await transport.read())
        except BaseException as exc:
            self._report("the reader", exc, task)
        if self.close_info is not None and self.close_info.by != "loss":
            with self.rt.move_on_after(self._close_timeout):
                await transport.read_on()

    def _report(self, what: str, exc: BaseException, task: object) -> None:
        """A bug of ours, or in a stream of the user's: told to the user as what it is."""
        if has_failed(exc, self.rt, task):
            log_failure(log, exc, "%s of %s failed", what, self.uri)
            self._end(CloseInfo("loss", 1006, f"{what} failed: {describe(exc, repr)}", exc))
        try:
            pass_on(exc, self.rt, task)
        finally:
            del exc  # whose traceback holds this frame

    async def _vanish(self) -> None:
        transport = self.transport
        if transport is None:
            return
        if self.close_info is None:
            opened = self.opened_at is not None
            transport.abort([*self._preamble, *self._outbox.items] if opened else ())
            self._end(LEFT)
        deadline = self.rt.current_time() + CLEANUP
        with self.rt.CancelScope(shield=True, deadline=deadline):
            await transport.aclose()
        self._unfinished, self.transport = transport.unfinished, None  # which holds this link
        if self.close_info is not None and self.close_info.cause is not None:
            clear_frames(self.close_info.cause.__traceback__)  # likewise

    def _end(self, close_info: CloseInfo) -> None:
        """The first ending stays."""
        if self.close_info is None:
            self.close_info = close_info
            self.ended_at = self.rt.current_time()
            if self._ended is not None:
                self._ended.set()
            self._notice_idle()
            self._open_window()
            if self.opened_at is not None:
                self._owner.link_ended(self, close_info)

    def ask(self) -> None:
        """Ask the peer for a sign of life, without which the link is lost; `asking` until then."""
        self.asking = True
        with suppress(RuntimeError):  # the link has just ended
            self._nursery.start_soon(self._ask, self.transport)

    async def _ask(self, transport: Transport) -> None:
        await self._keepalive.ask(self, transport)
        self.asking = False

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
        return self._unfinished if self.transport is None else self.transport.unfinished

    # ---- leaving

    async def leave(self, code: int, reason: str) -> None:
        """Drain the outbox, then queue the close frame.

        ``close_timeout`` bounds the time without progress, after which the link is lost.
        """
        transport, replay, close_timeout = self.transport, self._replay, self._close_timeout
        assert transport is not None
        self._window = None  # what waits will not be replaced any more
        self._open_window()
        since = self.rt.current_time()
        while self.close_info is None and (
            self._busy(transport) or (replay is not None and replay.unconfirmed)
        ):
            self._idle = self.rt.Event()
            since = max(since, transport.progress)
            if replay is not None:
                since = max(since, replay.confirmed_at)
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
        waits = self._preamble or self._outbox.items
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
            clear_frames(exc.__traceback__)  # who keeps the error does not keep the messages
            # The reader knows better why: a close frame may be on its way.
            if self.close_info is None:
                self._ended = self.rt.Event()
                with self.rt.move_on_after(self._close_timeout):
                    await self._ended.wait()
            self.lose(f"a write failed: {exc}", exc)
        except BaseException as exc:
            self._report("the writer", exc, task)
            self._reading.cancel()

    async def _write_all(self, transport: Transport) -> None:
        outbox, replay, counters = self._outbox, self._replay, self._counters
        preamble, self._preamble = self._preamble, []
        if preamble:
            await self._write_batch(transport, preamble, sum(map(len, preamble)))
        while True:
            window, limit, opens_at = self._window, _CHUNK, None
            if window is not None and outbox.items:
                limit, opens_at = window.most(_CHUNK), window.opens_at(self._now())
            if self.close_info is not None:
                opens_at = None
            elif opens_at is None:
                self.batch = outbox.take(limit)
            if self.batch or transport.pending:
                if replay is not None:
                    replay.send(self.batch)  # which may add pings to it
                size = sum(map(len, self.batch))
                if size >= _LONG:
                    keep_freed_memory()
                await self._write_batch(transport, self.batch, size)
                batch, self.batch = self.batch, []
                counters.count_sent(batch, size)
                if replay is None:
                    outbox.written(batch, size)
                batch = []  # the next one may take that memory
            elif opens_at is not None:
                self._opening = self.rt.Event()
                with self.rt.CancelScope(deadline=opens_at):
                    await self._opening.wait()
                self._opening = None
            else:
                self._notice_idle()
                if self.close_info is None and replay is None:  # else every write is remembered
                    outbox.idle_writer = outbox.write_through = self._write_now
                await outbox.arrival()

    async def _write_batch(
        self, transport: Transport, batch: Sequence[Outgoing], size: int
    ) -> None:
        if self._observers and batch:
            tell_observers(self._observers, "sent", batch)
        self.writing, self._writing_since = True, self._now()
        if self._window is not None:
            before, behind = self._window.begin(size, self._now(), self._keepalive.new_key)
            batch = [*before, *batch, *behind]
        await transport.write(batch, size)
        self.writing = False

    def _open_window(self) -> None:
        """Have the writer look again."""
        if self._opening is not None:
            self._opening.set()

    def _write_now(self, payload: Outgoing) -> bool:
        """Write a lone message in the caller's own step: no other task need wake."""
        assert self.transport is not None
        done = self.transport.write_now(payload)
        if done:
            self._counters.count_one(len(payload))
            if self._observers:
                tell_observers(self._observers, "sent", (payload,))
        return done

    # ---- the transport's view (Sink)

    def deliver(self, messages: Sequence[Message]) -> bool:
        """Messages for the inbox, past the handler; whether the reader is to stop."""
        if self._owner.state is _OPEN:
            self._counters.received += len(messages)
            if self._observers:
                tell_observers(self._observers, "received", messages)
            self._inbox.extend(self._handler.messages_received(messages, self.heard_at))
        return self._reader_gate.full

    def heard(self, size: int) -> None:
        """The peer is alive."""
        self.heard_at = self._now()
        self._counters.bytes_received += size
        self._handler.data_received(size)

    def ponged(self, payload: bytes) -> None:
        """The peer has read everything before that ping."""
        window = self._window
        if window is not None and window.ponged(payload, self._now()):
            self._counters.round_trip(window.rtt)  # a line that is busy has no heartbeats
            self._open_window()
            return
        if self._replay is not None:
            self._replay.confirm(payload)
        self._keepalive.ponged(payload)
        self._notice_idle()

    def wake_writer(self) -> None:
        """The transport has frames of its own to write."""
        self._outbox.wake()
        self._open_window()

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
