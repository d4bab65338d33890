"""A connection from its opening to its end: one link, or link after link.

The keeper holds what outlives a link: the boxes, the counters, the calls that wait, the tasks of
handlers. Without a backoff it carries one link; with one it dials again after every end that this
side did not ask for.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .._errors import ClientClosed, ConnectionClosed, InboxFull, VuerError, renew
from .._runtime import Runtime, protected
from .._transport.base import Ending, Message, Outgoing, Ping, Transport
from .._transport.handshake import Rejected
from .backoff import Backoff
from .box import Box
from .changes import Changes, Connected, Disconnected
from .counters import Counters
from .endings import closed_error
from .link import Link, State
from .pings import Pings
from .replay import Replay

__all__ = ["Keeper"]

log = logging.getLogger("vuer_trio.link")

#: seconds that a full inbox stops the reader before pending flushes fail, and before a warning
_FLUSH_PATIENCE = 1.0
_WARN_AFTER = 10.0
#: HTTP statuses that dialling again would not change
_FINAL = (401, 403, 404)


class Keeper:
    """`run` is its life; `aclose` ends it in order, `abort` at once.

    ``dial(link, nursery)`` opens a transport; ``explain(exc)`` makes of what it raises what the
    user is to see. ``preamble()`` is what each link sends first. A ``shielded`` connection is
    ended by `aclose` and `abort` only, one of which must follow: in the block of its user,
    clean-up in a cancelled body can still send.
    """

    def __init__(
        self,
        rt: Runtime,
        uri: str,
        dial: Callable[[Any, Any], Awaitable[Transport]],
        explain: Callable[[str, Exception], Exception],
        inbox: Box[Any],
        outbox: Box[Any],
        *,
        heartbeat: float,
        close_timeout: float,
        preamble: Callable[[], Sequence[bytes]] = tuple,
        backoff: Backoff | None = None,
        shielded: bool = False,
    ) -> None:
        self.rt = rt
        self.uri = uri
        self.dial = dial
        self.inbox = inbox
        self.outbox = outbox
        self.heartbeat = heartbeat
        self.close_timeout = close_timeout
        self.state = State.OPENING
        self.ending: Ending | None = None
        self.generation = 0  # connections so far; the user may count on from earlier ones
        self.transport_name = ""
        self.subprotocol: str | None = None
        self.counters = Counters()
        self.changes = Changes()
        self.pings = Pings(self)
        #: what is to be done between the first handshake and the first event, once
        self.on_open: Callable[[Keeper], None] | None = None
        #: sees what arrives, and returns what goes into the inbox
        self.tap: Callable[[Sequence[Message]], Sequence[Any]] | None = None
        #: what is to be done after the end, before the nursery is cancelled
        self.afterwards: Callable[[], Awaitable[None]] | None = None
        #: the boxes that stop the reader when they are full
        self.boxes: list[Box[Any]] = [inbox]
        self.nursery: Any = None
        self.stopped = False  # the reader waits for room
        self.gone = rt.Event()  # the connection is; handlers may still run
        self.over = rt.Event()
        self.explain = explain
        self._preamble = preamble
        self._backoff = backoff
        self._replay = Replay(outbox, self.pings) if backoff and backoff.replay else None
        self._scope = rt.CancelScope(shield=shielded)
        self._link: Link | None = None
        self._status: Any = None
        self._opened = False  # at least once
        self._unsent = 0  # messages that never went out whole; known at the end

    @property
    def lone_writes(self) -> bool:
        """Whether a sender may write for itself: not if every write is to be remembered."""
        return self._replay is None

    @property
    def heard_at(self) -> float:
        """When anything arrived last."""
        return self._link.heard_at if self._link is not None else self.rt.current_time()

    # ---- life

    @protected
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
                    if self.afterwards is not None:
                        await self.afterwards()
                    self.nursery.cancel_scope.cancel()
        finally:
            self._vanish()
            self.over.set()
            status.started(self._closed_here())

    async def _link_after_link(self) -> None:
        delays = self._backoff.delays() if self._backoff is not None else iter(())
        while True:
            self._link = link = Link(self, self._preamble())
            error: VuerError | None = None
            try:
                ending = await link.run()
            except Exception as exc:  # it did not open
                if not self._opened and not (self._backoff is not None and self._backoff.first):
                    self._status.started(exc)
                    return
                reason, cause = self.explain(self.uri, exc), exc
                error = reason if isinstance(reason, VuerError) else None
                error = error or ConnectionClosed(str(reason))
                error.__cause__ = cause
                if _final(exc):
                    self._give_up(error)
                    return
            else:
                error = closed_error(ending, self.uri)
                if self._backoff is None or self.state is not State.GAP:
                    self._close_boxes(error)
                    return
                lived = self.rt.current_time() - (link.opened_at or 0.0)
                if lived > self._backoff.maximum:
                    delays = self._backoff.delays()
            delay = next(delays, None)
            if delay is None:
                self._give_up(error)
                return
            log.info("dialling %s again in %.2f s", self.uri, delay)
            await self.rt.sleep(delay)

    def _give_up(self, error: VuerError) -> None:
        """Every call raises ConnectionFailed from now on."""
        if isinstance(error, ConnectionClosed):
            reason = ConnectionError(f"gave up after it ended: {error}")
            reason.__cause__ = error
            explained = self.explain(self.uri, reason)
            assert isinstance(explained, VuerError)
            explained.__cause__ = error
            error = explained
        log.warning("%s", error)
        self._status.started(error.__cause__ or error)
        self._close_boxes(error)

    def _vanish(self) -> None:
        """Nothing of the connection is left: tell who waits, and count what was not sent."""
        if self.state is State.GONE:
            return
        self._close_boxes(self._closed_here())
        self._unsent = sum(type(item) is not Ping for item in self.outbox.items)
        if self._link is not None:
            self._unsent += self._link.unfinished
            self._unsent += sum(type(item) is not Ping for item in self._link.batch)
        self.state = State.GONE
        self.changes.end()
        self.gone.set()

    def _close_boxes(self, error: VuerError) -> None:
        self.inbox.close(error)
        self.outbox.close(error)
        self.pings.awaited.fail(error)

    def _closed_here(self) -> ClientClosed:
        return ClientClosed(f"the connection to {self.uri} was closed by this side")

    # ---- the link's view

    def opened(self, link: Link) -> None:
        """A link is open, and nothing has been read."""
        assert link.transport is not None
        self.transport_name = link.transport.name
        self.subprotocol = link.transport.subprotocol
        self.ending = None
        self.generation += 1
        self._opened = True
        self.state = State.OPEN
        self.outbox.put_first(self.pings.again())
        if self.on_open is not None:
            self.on_open(self)
            self.on_open = None  # a connection keeps no hold on its user
        self._status.started(None)
        self.changes.tell(Connected(self.generation))

    def ended(self, link: Link, ending: Ending) -> None:
        """A link has ended; its stream may still be open."""
        self.ending = ending
        self.outbox.lone = self.outbox.direct = None
        if self.state is State.OPEN:
            again = self._backoff is not None and not self._scope.cancel_called
            self.state = State.GAP if again else State.ENDED
            if again:
                self._keep_for_later(link)
            else:
                self._close_boxes(closed_error(ending, self.uri))
        self.changes.tell(Disconnected(ending.code, ending.reason, link.heard_at))

    def _keep_for_later(self, link: Link) -> None:
        """What was on its way when the link ended: sent again, or never more."""
        batch, link.batch = link.batch, []
        if self._replay is not None:
            self._replay.put_back(batch)
            return
        lost = [item for item in batch if type(item) is not Ping]
        self.outbox.written(batch)  # awaited pings are put in anew when the next link opens
        if lost:
            self.counters.lost += len(lost)
            log.warning("%d messages were on their way when %s was lost", len(lost), self.uri)

    def before_write(self, batch: list[Outgoing]) -> None:
        """The writer is about to write ``batch``, and may add a ping to it."""
        if self._replay is not None:
            self._replay.mark(batch)

    def after_write(self, batch: list[Outgoing]) -> None:
        """The writer has written ``batch``."""
        self.counters.count_sent(batch)
        if self._replay is not None:
            self._replay.remember(batch)
        else:
            self.outbox.written(batch)

    def confirmed(self, payload: bytes) -> None:
        """A pong: the peer has read what was sent before that ping."""
        if self._replay is not None:
            self._replay.confirm(payload)

    def deliver(self, messages: Sequence[Message]) -> None:
        """Messages for the inbox."""
        if self.state is State.OPEN:
            self.counters.received += len(messages)
            self.inbox.extend(messages if self.tap is None else self.tap(messages))

    @property
    def full(self) -> bool:
        """Whether the reader is to stop."""
        return any(box.full for box in self.boxes)

    async def drained(self) -> None:
        """Keep the reader waiting while a box is full."""
        self.stopped = True
        try:
            with self.rt.move_on_after(_FLUSH_PATIENCE):
                return await self._room()
            self.pings.awaited.fail(self._stalled())
            with self.rt.move_on_after(_WARN_AFTER - _FLUSH_PATIENCE):
                return await self._room()
            log.warning(
                "the inbox of %s has been full for %g s, so nothing is read: receive more often, "
                "or open it with a larger inbox=Fifo(...)",
                self.uri,
                _WARN_AFTER,
            )
            await self._room()
        finally:
            self.stopped = False

    async def _room(self) -> None:
        while self.full:
            for box in self.boxes:
                await box.drained()

    def _stalled(self) -> InboxFull:
        return InboxFull(
            f"the inbox of {self.uri} is full ({len(self.inbox.items)} messages), so no answer "
            "can be read: receive first"
        )

    # ---- the user's view

    async def flush(self) -> None:
        """Wait until the peer has read everything enqueued so far: it answers a ping behind it.

        Raises InboxFull when the answer can not be read, or what ended the connection.
        """
        if self.outbox.closed is not None:
            raise renew(self.outbox.closed)
        if self.stopped and any(box.awaited for box in self.boxes):
            raise self._stalled()
        await self.pings.flush()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Drain the outbox, close, and wait for the peer's answer.

        ``close_timeout`` bounds the time without progress, and the wait for the answer. Raises
        ConnectionClosed, once, with the number of messages that were not sent. Cancelled: as
        `abort`.
        """
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
        if self._unsent:
            count, self._unsent = self._unsent, 0
            ending = self.ending or Ending("loss", 1006, "it was not open")
            error = ConnectionClosed(
                f"{count} message{'s were' if count > 1 else ' was'} not sent to {self.uri}: "
                + (ending.reason or f"it closed with code {ending.code}"),
                code=ending.code,
                reason=ending.reason,
            )
            error.__cause__ = ending.cause
            raise error

    def abort(self) -> None:
        """End it at once. What is enqueued is offered to the system, without waiting."""
        if self.state in (State.OPENING, State.OPEN, State.GAP):
            self._leave()
            batch = self._link.batch if self._link is not None else []
            count = len(self.outbox.items) + len(batch)
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
        for box in self.boxes:
            box.attended = False  # the reader reads on, and discards
            box.clear()


def _final(exc: Exception) -> bool:
    """Whether dialling again can not help."""
    if isinstance(exc, Rejected):
        return exc.status in _FINAL
    tls = isinstance(exc, ssl.SSLError) or isinstance(exc.__cause__, ssl.SSLError)
    return tls or not isinstance(exc, OSError)
