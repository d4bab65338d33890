"""Pings: a heartbeat, and confirmation that the peer has read what was sent."""

from __future__ import annotations

import math
from typing import Any, Protocol

from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import Ping, Transport
from .counters import Counters
from .pending_replies import PendingReplies
from .queue import Queue
from .standstill import Standstill

__all__ = ["Keepalive"]

#: how often data or progress is checked for while waiting for a pong
_LOOKS = 8


class Heard(Protocol):
    """What a heartbeat uses of a link."""

    #: when data last arrived
    heard_at: float
    writing: bool

    def lose(self, reason: str) -> None:
        """End the link: the peer is gone."""


@protected_methods
class Keepalive:
    """All pings of a connection. A heartbeat overtakes data; the ping of a flush queues."""

    def __init__(
        self,
        rt: Runtime,
        outbox: Queue[Any],
        counters: Counters,
        reader_gate: Standstill,
        interval: float,
        by_server: bool,
    ) -> None:
        #: seconds of silence before a ping, and then before the end; infinite for no heartbeat
        self.interval = interval
        #: whether it is `beat` that asks after a silence, and not the server for all connections
        self.beats: bool = interval != math.inf and not by_server
        self._rt = rt
        self._outbox = outbox
        self._counters = counters
        self._reader_gate = reader_gate
        self._count = 0
        self._beat_key = b""
        self._beat_at = 0.0
        self.awaited: PendingReplies[None] = PendingReplies(rt)
        self._later: set[bytes] = set()  # pings to send when the next link opens

    def new_key(self) -> bytes:
        """A payload that is unique among the pings of this connection."""
        self._count += 1
        return b"%x" % self._count

    async def flush(self, *, in_gap: bool) -> None:
        """Wait for the pong to a ping sent after everything enqueued so far.

        Between two links, the ping is not enqueued yet, so that a cancelled call leaves nothing
        behind.
        """
        key = self.new_key()
        with self.awaited.expect(key) as call:
            if in_gap:
                self._later.add(key)
            else:
                self._outbox.put(Ping(key))
            try:
                await call.wait()
            except BaseException:
                self._outbox.withdraw_ping(Ping(key))
                raise

    def ask_again(self) -> None:
        """A link has opened: send awaited pings again that were lost, and those not sent yet."""
        outbox = self._outbox
        queued = {bytes(item) for item in outbox.items if type(item) is Ping}
        missing = [key for key in self.awaited.pending() if key not in queued]
        outbox.put_first([Ping(key) for key in missing if key not in self._later])
        for key in missing:
            if key in self._later:
                outbox.put(Ping(key))
        self._later.clear()

    def ponged(self, payload: bytes) -> None:
        """A pong arrived."""
        if payload == self._beat_key:
            self._counters.round_trip(self._rt.current_time() - self._beat_at)
        self.awaited.settle_up_to(payload, None)

    async def beat(self, link: Heard, transport: Transport) -> None:
        """Send a ping after each silence; end the link after the same time without data."""
        rt, interval = self._rt, self.interval
        while True:
            if rt.current_time() < link.heard_at + interval:
                await rt.sleep_until(link.heard_at + interval)
            elif not await self.ask(link, transport):
                return

    async def ask(self, link: Heard, transport: Transport) -> bool:
        """Send a ping, and end the link if no data follows; return whether the link goes on.

        Any received data counts. A ping behind a large message is not late while that message
        makes progress, here or in the system's buffer, and no ping is late while a full inbox
        stops the reader.
        """
        rt, interval, counters = self._rt, self.interval, self._counters
        asked, heard = rt.current_time(), counters.bytes_received
        way = _Way(rt, link, transport)
        self._beat_key, self._beat_at = self.new_key(), asked
        transport.ping(self._beat_key)
        since = asked
        while rt.current_time() < since + interval:
            look = rt.current_time() + interval / _LOOKS
            await rt.sleep_until(min(since + interval, look))
            if counters.bytes_received != heard:
                return True
            since = max(since, way.moved_at())
        if not self._reader_gate.now:
            link.lose(f"no sign of life within {interval:g} s of a ping")
            return False
        return True


class _Way:
    """Tracks the progress of a ping: first into the system's buffer, then through it."""

    def __init__(self, rt: Runtime, link: Heard, transport: Transport) -> None:
        self._rt = rt
        self._link = link
        self._transport = transport
        self._stuck = link.writing or transport.pending
        self._end: int | None = None  # the stream position after the ping, at most
        self._arrived = 0

    def moved_at(self) -> float:
        """The time of the latest progress; -inf if there was none since the last call."""
        transport = self._transport
        if self._stuck:
            self._stuck = self._link.writing or transport.pending
            return transport.progress
        before, self._arrived = self._arrived, transport.arrived
        if self._end is None:
            self._end = transport.position
            return -math.inf
        moves = before < self._end and self._arrived > before
        return self._rt.current_time() if moves else -math.inf
