"""A connection: one link, or with a backoff, one link after another.

It owns what outlives a link: the queues, the counters, pending calls and the tasks of handlers.
With a backoff, it dials again whenever a link ends that this side did not close.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._errors import ClientClosed, ConnectionFailed, VuerError, renew
from .._failures import describe
from .._interrupts import interrupt_in, protected_methods
from .._runtime import Runtime
from .._websocket.transport import CloseInfo, Outgoing, Prepared
from .backoff import Backoff, Delays
from .close_info import closed_error, count_messages, is_final, unsent_error
from .counters import Counters
from .handler import ConnectionHandler
from .keepalive import Keepalive
from .link import LEFT, Link
from .link_changes import Connected, Disconnected, LinkChanges
from .observers import Observers
from .queue import Queue, settle
from .replay import Replay
from .standstill import Standstill
from .state import State
from .traffic import Traffic

if TYPE_CHECKING:
    from .._async_types import AsyncEvent
    from .._home import Home

__all__ = ["Connection"]

log = logging.getLogger("vuer_trio.link")


@protected_methods
class Connection:
    """`run` runs the connection; `aclose` ends it cleanly, `abort` immediately.

    The layer above takes part through ``handler`` only. ``observers`` are shown all messages read
    and written; the caller may add to the list later. ``stopped_by`` are the queues that stop the
    reader when they are full, the inbox by default. A ``shielded`` connection is not ended by
    cancellation, but only by `aclose` or `abort`, one of which must follow: so clean-up code in a
    cancelled block can still send. The heartbeat of a connection ``by_server`` is the server's
    service for all connections; any other connection has a task for it. It also has a ``nursery``,
    which is for the handler, and has that `finish`.
    """

    # As a dict so many would take 1.3 KiB, for each session.
    __slots__ = (
        "__weakref__",
        "_backoff",
        "_by_server",
        "_delays",
        "_handler",
        "_heard_at",
        "_interrupted",
        "_keepalive",
        "_late",
        "_link",
        "_made",
        "_reader_gate",
        "_replay",
        "_scope",
        "_status",
        "_struck",
        "_traffic",
        "_unsent",
        "changes",
        "close_info",
        "close_timeout",
        "counters",
        "generation",
        "gone",
        "home",
        "inbox",
        "nursery",
        "observers",
        "outbox",
        "over",
        "rt",
        "state",
        "subprotocol",
        "transport_name",
        "uri",
    )

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
        by_server: bool = False,
    ) -> None:
        self.rt: Runtime = rt
        self.uri: str = uri
        self.inbox: Queue[Any] = inbox
        self.outbox: Queue[Any] = outbox
        self.close_timeout: float = close_timeout
        self.state: State = State.OPENING
        self.close_info: CloseInfo | None = None
        self.generation: int = 0  # links opened so far; a client may continue an earlier count
        self.transport_name: str = ""
        self.subprotocol: str | None = None
        self.counters: Counters = Counters()
        self.changes: LinkChanges = LinkChanges()
        #: called with all messages read and written
        self.observers: Observers = [] if observers is None else observers
        self.nursery: Any = None
        self.gone: AsyncEvent = rt.Event()  # the connection has ended; handlers may still run
        self.over: AsyncEvent = rt.Event()
        self.home: Home = settle(rt, uri, inbox, outbox)
        self._handler = handler
        self._made = False  # whether the handler's `connection_made` was called
        self._reader_gate = Standstill(rt, uri, inbox, stopped_by)
        self._keepalive = Keepalive(
            rt, outbox, self.counters, self._reader_gate, heartbeat, by_server
        )
        self._backoff = backoff
        self._by_server = by_server
        self._delays = Delays(backoff) if backoff else None
        #: keeps unconfirmed messages to send them again; None if that is off
        self._replay = Replay(rt, outbox, self._keepalive) if backoff and backoff.replay else None
        self._traffic = Traffic(
            inbox,
            outbox,
            self._reader_gate,
            self._keepalive,
            self._replay,
            self.counters,
            self.observers,
        )
        self._scope = rt.CancelScope(shield=shielded)
        self._link: Link | None = None  # the open link, or the latest
        self._heard_at = rt.current_time()
        self._late = False  # whether to delay the next dial as long as possible
        self._status: Any = None
        #: whether an interrupt ended it, and its error, reported instead of `_unsent`
        self._interrupted, self._struck = False, None
        self._unsent = 0  # messages not completely sent; set at the end

    @property
    def queues(self) -> Sequence[Queue[Any]]:
        """The queues that stop the reader when they are full."""
        return self._reader_gate.queues

    def wrap_error(self, exc: Exception) -> Exception:
        """Convert an exception of the first dial into the one that the user sees."""
        return self._handler.wrap_error(self.uri, exc)

    def ignore_count(self, ignores_count: bool) -> None:
        """While a call waits for an event that may be behind full queues, read on."""
        for queue in self.queues:
            queue.ignore_count(ignores_count)

    def stop_for(self, queue: Queue[Any]) -> None:
        """Let this queue, too, stop the reader when it is full."""
        queue.ignore_count(self.inbox.ignores_count)
        self._reader_gate.queues.append(queue)

    @property
    def heard_at(self) -> float:
        """When data last arrived, on the loop's clock."""
        return self._link.heard_at if self._link else self._heard_at

    @property
    def held(self) -> int:
        """The bytes of all messages held in memory, complete or not."""
        partial = self._link.buffered if self._link is not None else 0
        return self.outbox.bytes + partial + sum(queue.bytes for queue in self.queues)

    @property
    def shared(self) -> int:
        """The part of `held` in framed messages, which other connections may hold as well."""
        writing = self._link.batch if self._link is not None else ()
        return sum(len(item) for item in (*self.outbox.items, *writing) if type(item) is Prepared)

    # ---- running

    async def run(self, status: Any) -> None:
        """Dial, and run the connection until its end.

        ``status.started()`` gets None, or the exception of the first dial. Raises only
        cancellation, which ends the connection immediately.
        """
        self._status = status
        try:
            with self._scope:
                if self._by_server:
                    await self._link_after_link()
                else:
                    async with self.rt.open_nursery() as self.nursery:
                        await self._link_after_link()
                        self._vanish()
                        await self._handler.finish()
                        self.nursery.cancel_scope.cancel()
        except BaseException as exc:
            self._interrupted = interrupt_in(exc) is not None
            if (struck := await status.struck(exc)) is not None:  # replaces later errors
                self._struck = self.inbox.closed = self.outbox.closed = struck
            raise
        finally:
            self._vanish()
            self.nursery = None
            self.over.set()
            status.started(self._closed_here())
            self._let_go()

    async def _link_after_link(self) -> None:
        while True:
            link = Link(self.rt, self.uri, self, self._handler, self._traffic, self.close_timeout)
            try:
                close_info = await link.run()
            except Exception as exc:  # the link did not open
                error: VuerError = self._failed(exc)
                delay = self._delay_after(exc)
                if delay is None:
                    self._status.started(exc)
                    self._close_queues(error)
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
        """The error that calls raise after the last dial has failed."""
        error = self._handler.wrap_error(self.uri, exc)
        if error is exc or not isinstance(error, ConnectionFailed):
            reason = describe(exc)
            error = ConnectionFailed(f"could not connect to {self.uri}: {reason}", uri=self.uri)
        error.__cause__ = exc
        return error

    def _vanish(self) -> None:
        """The connection has ended: fail pending calls, and count unsent messages."""
        if self.state is State.GONE:
            return
        self._close_queues(self._closed_here())
        self._unsent = count_messages(self.outbox.items)
        if self._replay is not None:
            self._unsent += self._replay.unconfirmed
        elif self._link is not None:
            self._unsent += self._link.unfinished + count_messages(self._link.batch)
            self._link.batch = []
        if self._link is not None:
            self._heard_at, self._link = self._link.heard_at, None
        self.outbox.clear()  # a program may keep an ended session for long
        self.state = State.GONE
        self.changes.end()
        self.gone.set()

    def _let_go(self) -> None:
        """Nobody is called any more. Without circles nothing waits for the garbage collector."""
        self._status = self.home.on_fork = None
        if self._made:  # else `wrap_error` is still to come
            del self._handler

    def _close_queues(self, error: VuerError) -> None:
        self.inbox.close(error)
        self.outbox.close(error)
        self._keepalive.awaited.fail(error)
        self._handler.connection_lost(error)

    def _closed_here(self) -> ClientClosed:
        return self._struck or ClientClosed(f"the connection to {self.uri} was closed by this side")

    # ---- the link's view (LinkOwner)

    def link_opened(self, link: Link) -> Sequence[Outgoing] | None:
        """A link is open, and nothing has been read. Returns None if it is no longer wanted."""
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
                self._close_queues(final or closed_error(close_info, self.uri))
        self._handler.link_ended()
        self.changes.tell(Disconnected(close_info.code, close_info.reason, link.heard_at))

    def _keep_for_later(self, link: Link) -> None:
        """Handle the messages in flight when the link ended: replay them, or count them as lost."""
        self._link, self._heard_at = None, link.heard_at
        batch, link.batch = link.batch, []
        if self._replay is not None:
            self._replay.put_back()
            return
        self.outbox.written(batch)  # the next link sends awaited pings again
        if lost := link.unfinished + count_messages(batch):
            self.counters.lost += lost
            log.warning("%d messages were in flight when %s was lost", lost, self.uri)

    @property
    def stopped(self) -> bool:
        """Whether the reader is waiting for room."""
        return self._reader_gate.now

    # ---- the user's view

    async def flush(self) -> None:
        """Wait until the peer has read everything enqueued so far, by a ping sent after it.

        Raises InboxFull when the answer cannot be read, and the connection's error. If the inbox is
        about to start dropping messages, it waits for that instead.
        """
        if self.outbox.closed is not None:
            raise renew(self.outbox.closed)
        self.home.check_loop()
        self._reader_gate.check()
        await self._keepalive.flush(in_gap=self.state is State.GAP)

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Drain the outbox, close, and wait for the peer's answer.

        ``close_timeout`` limits the time without progress, and the wait for the answer. Raises
        ConnectionClosed, once, with the number of messages that were not sent. Cancelled: as
        `abort`.
        """
        if not self.gone.is_set():  # an ended connection can be closed from any loop
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
        """The link while it is open, else None."""
        return self._link if self.state is State.OPEN else None

    def fail(self, code: int, reason: str) -> None:
        """Close because of the peer's error; the close frame overtakes enqueued messages."""
        if self.open_link is not None:
            self.open_link.fail(code, reason)

    def lose(self, reason: str) -> None:
        """Drop the link, because the protocol above hears nothing from the peer."""
        if self.open_link is not None:
            self.open_link.lose(reason)

    def abort(self) -> None:
        """End immediately. Enqueued messages are offered to the system without waiting."""
        if self.state in (State.OPENING, State.OPEN, State.GAP):
            self._leave()
            batch = self._link.batch if self._link is not None else []
            if count := count_messages(self.outbox.items) + count_messages(batch):
                log.warning(
                    "left %s with %d messages enqueued, which may be lost",
                    self.uri,
                    count,
                )
        self._scope.cancel()

    def _leave(self) -> None:
        self.state = State.LEAVING
        self._close_queues(self._closed_here())
        self.inbox.stops = False
        for queue in self.queues:
            queue.has_consumer = False  # the reader discards messages
            queue.clear()
