"""A connection from its opening to its end: one link, or link after link.

The connection holds what outlives a link: the queues, the counters, the calls that wait, the tasks
of handlers. Without a backoff it carries one link; with one it dials again after every end that
this side did not ask for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .._errors import ClientClosed, ConnectionFailed, VuerError, renew
from .._failures import describe
from .._interrupts import interrupt_in, protected_methods
from .._runtime import Runtime
from .._websocket.transport import CloseInfo, Message, Outgoing, Transport
from .backoff import Backoff, Delays
from .close_info import closed_error, count_messages, is_final, unsent_error
from .counters import Counters
from .handler import ConnectionHandler
from .keepalive import Keepalive
from .link import LEFT, Link
from .link_changes import Connected, Disconnected, LinkChanges
from .observers import Observers, tell_observers
from .outbox import Outbox
from .queue import Queue, settle
from .replay import Replay
from .standstill import Standstill
from .state import State

if TYPE_CHECKING:
    from .._async_types import AsyncEvent
    from .._home import Home

__all__ = ["Connection"]

log = logging.getLogger("vuer_trio.link")


@protected_methods
class Connection:
    """`run` is its life; `aclose` ends it cleanly, `abort` at once.

    ``handler`` is how the layer above takes part, and the only way. ``observers`` are shown all
    that is read and written; whoever gave the list may add to it. ``stopped_by`` are the queues
    that stop the reader when they are full, the inbox by default. A ``shielded`` connection is
    ended by `aclose` and `abort` only, one of which must follow: in the block of its user,
    clean-up in a cancelled body can still send.
    """

    def __init__(
        self,
        rt: Runtime,
        uri: str,
        handler: ConnectionHandler,
        inbox: Queue[Any],
        outbox: Queue[Any],
        *,
        heartbeat: float,
        close_timeout: float,
        backoff: Backoff | None = None,
        shielded: bool = False,
        observers: Observers | None = None,
        stopped_by: Sequence[Queue[Any]] | None = None,
    ) -> None:
        self.rt = rt
        self.uri = uri
        self.inbox = inbox
        self.outbox = outbox
        self.close_timeout = close_timeout
        self.state: State = State.OPENING
        self.close_info: CloseInfo | None = None
        self.generation: int = 0  # connections so far; the user may count on from earlier ones
        self.transport_name: str = ""
        self.subprotocol: str | None = None
        self.counters: Counters = Counters()
        self.changes: LinkChanges = LinkChanges()
        #: who is shown all that is read and written
        self.observers: Observers = [] if observers is None else observers
        self.nursery: Any = None
        self.gone: AsyncEvent = rt.Event()  # the connection is; handlers may still run
        self.over: AsyncEvent = rt.Event()
        self.home: Home = settle(rt, uri, inbox, outbox)
        self._handler = handler
        self._made = False  # the handler knows that it has been
        self._reader_gate = Standstill(rt, uri, inbox, stopped_by)
        self._keepalive = Keepalive(rt, outbox, self.counters, self._reader_gate, heartbeat)
        self._backoff = backoff
        self._delays = Delays(backoff) if backoff else None
        #: what is kept to be sent again, if anything is
        self._replay = Replay(rt, outbox, self._keepalive) if backoff and backoff.replay else None
        self._outgoing = Outbox(outbox, self.counters, self.observers, self._replay)
        self._scope = rt.CancelScope(shield=shielded)
        self._link: Link | None = None  # the open one, or the last one
        self._heard_at = rt.current_time()
        self._late = False  # the next dial
        self._status: Any = None
        self._interrupted, self._struck = False, None  # which says more than `_unsent`
        self._unsent = 0  # messages that never went out whole; known at the end

    @property
    def boxes(self) -> Sequence[Queue[Any]]:
        """The queues that stop the reader when they are full."""
        return self._reader_gate.boxes

    def wrap_error(self, exc: Exception) -> Exception:
        """What the user is to see for what the first dial raised."""
        return self._handler.wrap_error(self.uri, exc)

    def stop_for(self, queues: Iterable[Queue[Any]]) -> None:
        """These are to stop the reader, too, when they are full."""
        self._reader_gate.boxes += queues

    @property
    def heard_at(self) -> float:
        """When anything arrived last."""
        return self._link.heard_at if self._link else self._heard_at

    @property
    def held(self) -> int:
        """Bytes of the messages that it holds, whole or not."""
        partial = self._link.buffered if self._link is not None else 0
        return self.outbox.bytes + partial + sum(box.bytes for box in self.boxes)

    # ---- life

    async def run(self, status: Any) -> None:
        """Dial, and carry until the end.

        ``status.started()`` gets None, or what the first dial failed with. Raises nothing but a
        cancellation, which ends the connection at once.
        """
        self._status = status
        try:
            with self._scope:
                async with self.rt.open_nursery() as self.nursery:
                    await self._link_after_link()
                    self._vanish()
                    await self._handler.finish()
                    self.nursery.cancel_scope.cancel()
        except BaseException as exc:
            self._interrupted = interrupt_in(exc) is not None
            if (struck := await status.struck(exc)) is not None:  # outdoes what it has caused
                self._struck = self.inbox.closed = self.outbox.closed = struck
            raise
        finally:
            self._vanish()
            self.nursery = None
            self.over.set()
            status.started(self._closed_here())

    async def _link_after_link(self) -> None:
        while True:
            link = Link(
                self.rt,
                self.uri,
                self,
                self._outgoing,
                self._reader_gate,
                self._keepalive,
                self.close_timeout,
            )
            try:
                close_info = await link.run()
            except Exception as exc:  # it did not open
                error: VuerError = self._failed(exc)
                delay = self._delay_after(exc)
                if delay is None:
                    self._status.started(exc)
                    self._close_boxes(error)
                    if self.state is State.GAP:
                        log.warning("gave up: %s", error)
                    return
            else:
                if self.state is not State.GAP or self._delays is None or link.opened_at is None:
                    return
                error = closed_error(close_info, self.uri)
                delay = self._delays.after_link(link.ended_at - link.opened_at, self._late)
            log.info("%s; dialling again in %.2f s", error, delay)
            await self.rt.sleep(delay)

    def _delay_after(self, exc: Exception) -> float | None:
        """Seconds until the next dial after one that failed with ``exc``; None for never."""
        backoff, delays = self._backoff, self._delays
        if backoff is None or delays is None or is_final(exc):
            return None
        first = self.state is State.OPENING
        late = self._handler.classify_error(exc) == "late"
        return delays.after_failure(late) if backoff.first or not first else None

    def _failed(self, exc: Exception) -> ConnectionFailed:
        """What calls raise after a dial that was the last."""
        error = self._handler.wrap_error(self.uri, exc)
        if error is exc or not isinstance(error, ConnectionFailed):
            reason = describe(exc)
            error = ConnectionFailed(f"could not connect to {self.uri}: {reason}", uri=self.uri)
        error.__cause__ = exc
        return error

    def _vanish(self) -> None:
        """Nothing of the connection is left: tell who waits, and count what was not sent."""
        if self.state is State.GONE:
            return
        self._close_boxes(self._closed_here())
        self._unsent = count_messages(self.outbox.items)
        if self._replay is not None:
            self._unsent += self._replay.unconfirmed
        elif self._link is not None:
            self._unsent += self._link.unfinished + count_messages(self._link.batch)
            self._link.batch = []
        self.outbox.clear()  # a session that has gone may be known for long
        self.state = State.GONE
        self.changes.end()
        self.gone.set()

    def _close_boxes(self, error: VuerError) -> None:
        self.inbox.close(error)
        self.outbox.close(error)
        self._keepalive.awaited.fail(error)
        self._handler.connection_lost(error)

    def _closed_here(self) -> ClientClosed:
        return self._struck or ClientClosed(f"the connection to {self.uri} was closed by this side")

    # ---- the link's view (LinkHandler)

    async def dial(self, link: Link, nursery: Any) -> Transport:
        """Open the transport."""
        return await self._handler.dial(link, nursery)

    def link_opened(self, link: Link) -> Sequence[Outgoing] | None:
        """A link is open, and nothing has been read; None if none may open any more."""
        if self.state not in (State.OPENING, State.GAP):
            return None
        assert link.transport is not None
        preamble = self._handler.preamble()
        self._link = link
        self.transport_name = link.transport.name
        self.subprotocol = link.transport.subprotocol
        self.close_info = None
        self.generation += 1
        self.state = State.OPEN
        self._keepalive.ask_again()
        if not self._made:
            self._made = True
            self._handler.connection_made()
        self._handler.link_opened()
        self._status.started(None)
        self.changes.tell(Connected(self.generation))
        return preamble

    def link_ended(self, link: Link, close_info: CloseInfo) -> None:
        """A link has ended; its stream may still be open."""
        self.close_info = close_info
        self.outbox.idle_writer = self.outbox.write_through = None
        if self.state is State.OPEN:
            verdict = self._handler.classify_error(close_info)
            final = verdict if isinstance(verdict, VuerError) else None
            if self._backoff is not None and close_info is not LEFT and final is None:
                self.state, self._late = State.GAP, verdict == "late"
                self._keep_for_later(link)
            else:
                self.state = State.ENDED
                self._close_boxes(final or closed_error(close_info, self.uri))
        self.changes.tell(Disconnected(close_info.code, close_info.reason, link.heard_at))

    def _keep_for_later(self, link: Link) -> None:
        """What was on its way when the link ended: sent again, or never more."""
        self._link, self._heard_at = None, link.heard_at
        batch, link.batch = link.batch, []
        if self._replay is not None:
            self._replay.put_back()
            return
        self.outbox.written(batch)  # awaited pings are put in anew when the next link opens
        if lost := link.unfinished + count_messages(batch):
            self.counters.lost += lost
            log.warning("%d messages were on their way when %s was lost", lost, self.uri)

    def data_received(self, size: int) -> None:
        """So many bytes have arrived."""
        self.counters.bytes_received += size
        self._handler.data_received(size)

    def messages_received(self, messages: Sequence[Message], at: float) -> bool:
        """Messages for the inbox, read at that time; whether the reader is to stop."""
        if self.state is State.OPEN:
            self.counters.received += len(messages)
            if self.observers:
                tell_observers(self.observers, "received", messages)
            self.inbox.extend(self._handler.messages_received(messages, at))
        return self._reader_gate.full

    def pong_received(self, payload: bytes) -> None:
        """The peer has read everything before that ping."""
        self._outgoing.confirmed(payload)
        self._keepalive.ponged(payload)

    @property
    def stopped(self) -> bool:
        """Whether the reader waits for room."""
        return self._reader_gate.now

    # ---- the user's view

    async def flush(self) -> None:
        """Wait until the peer has read everything enqueued so far: it answers a ping behind it.

        Raises InboxFull when the answer cannot be read, or what ended the connection. While an
        inbox is about to give way it waits for that.
        """
        if self.outbox.closed is not None:
            raise renew(self.outbox.closed)
        self.home.check_loop()
        self._reader_gate.check()
        await self._keepalive.flush(in_gap=self.state is State.GAP)

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Drain the outbox, close, and wait for the peer's answer.

        ``close_timeout`` bounds the time without progress, and the wait for the answer. Raises
        ConnectionClosed, once, with the number of messages that were not sent. Cancelled: as
        `abort`.
        """
        if not self.gone.is_set():  # what has ended belongs to no loop any more
            self.home.check_loop()
        try:
            if self.state is State.OPEN:
                self._leave()
                assert self._link is not None
                await self._link.leave(code, reason)
            elif self.state in (State.OPENING, State.GAP):
                self._leave()
                self._scope.cancel()
            with self.rt.move_on_after(self.close_timeout):
                await self.gone.wait()
        finally:
            self._scope.cancel()
        await self.gone.wait()
        if self._unsent and not self._interrupted:
            count, self._unsent = self._unsent, 0
            what = "sent to" if self._replay is None else "confirmed by"
            raise unsent_error(count, what, self.uri, self.close_info, self.outbox.closed)

    @property
    def open_link(self) -> Link | None:
        """The link, while it is open."""
        return self._link if self.state is State.OPEN else None

    def fail(self, code: int, reason: str) -> None:
        """End it for a protocol error by the peer: the close frame goes before all that waits."""
        if self.open_link is not None:
            self.open_link.fail(code, reason)

    def lose(self, reason: str) -> None:
        """Give the link up: the protocol above has no sign of life from its peer."""
        if self.open_link is not None:
            self.open_link.lose(reason)

    def abort(self) -> None:
        """End it at once. What is enqueued is offered to the system, without waiting."""
        if self.state in (State.OPENING, State.OPEN, State.GAP):
            self._leave()
            batch = self._link.batch if self._link is not None else []
            if count := count_messages(self.outbox.items) + count_messages(batch):
                log.warning(
                    "left %s with %d messages enqueued; what the system did not take is lost",
                    self.uri,
                    count,
                )
        self._scope.cancel()

    def _leave(self) -> None:
        self.state = State.LEAVING
        self._close_boxes(self._closed_here())
        self.inbox.stops = False
        for box in self.boxes:
            box.has_consumer = False  # the reader reads on, and discards
            box.clear()
