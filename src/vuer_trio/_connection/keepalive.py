"""Pings: a heartbeat, and the proof that a peer has read what was sent."""

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

#: looks for a sign of life, or of a line that moves, within the time for it
_LOOKS = 8


class Heard(Protocol):
    """What a heartbeat is for: a link."""

    #: when anything was read last
    heard_at: float
    writing: bool

    def lose(self, reason: str) -> None:
        """The peer is gone."""


@protected_methods
class Keepalive:
    """All pings of a connection. A heartbeat overtakes data; a flush waits its turn behind it."""

    def __init__(
        self,
        rt: Runtime,
        outbox: Queue[Any],
        counters: Counters,
        reader_gate: Standstill,
        interval: float,
    ) -> None:
        #: seconds of silence before a heartbeat, and after it; infinite for none
        self.interval = interval
        self._rt = rt
        self._outbox = outbox
        self._counters = counters
        self._reader_gate = reader_gate
        self._count = 0
        self._beat_key = b""
        self._beat_at = 0.0
        self.awaited: PendingReplies[None] = PendingReplies(rt)
        self._later: set[bytes] = set()  # to be asked when the next link opens

    def new_key(self) -> bytes:
        """A payload that no other ping of this connection has."""
        self._count += 1
        return b"%x" % self._count

    async def flush(self, *, in_gap: bool) -> None:
        """Wait for the answer to a ping behind everything enqueued so far.

        In the gap between two links nothing is enqueued: whoever gives up waiting leaves nothing
        behind.
        """
        key = self.new_key()
        with self.awaited.expect(key) as call:
            if in_gap:
                self._later.add(key)
            else:
                self._outbox.put(Ping(key))
            await call.wait()

    def ask_again(self) -> None:
        """A link has opened: of the answers awaited, the last one took some pings with it, and
        some were never asked for."""
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
        """Ask for a sign of life after a silence; end the link after as much again.

        Any received data is life. A ping that is stuck behind a large message is not late while
        that message moves, here or in the system's buffer, and none is while a full inbox keeps
        the reader from reading.
        """
        rt, interval, counters = self._rt, self.interval, self._counters
        while True:
            if rt.current_time() < link.heard_at + interval:
                await rt.sleep_until(link.heard_at + interval)
                continue
            asked, heard = rt.current_time(), counters.bytes_received
            way = _Way(rt, link, transport)
            self._beat_key, self._beat_at = self.new_key(), asked
            transport.ping(self._beat_key)
            since = asked
            while rt.current_time() < since + interval:
                look = rt.current_time() + interval / _LOOKS
                await rt.sleep_until(min(since + interval, look))
                if counters.bytes_received != heard:
                    break
                since = max(since, way.moved_at())
            if counters.bytes_received == heard and not self._reader_gate.now:
                link.lose(f"no sign of life within {interval:g} s of a ping")
                return


class _Way:
    """Of a ping that is about to be queued: first to the system, then through its buffer."""

    def __init__(self, rt: Runtime, link: Heard, transport: Transport) -> None:
        self._rt = rt
        self._link = link
        self._transport = transport
        self._stuck = link.writing or transport.pending
        self._end: int | None = None  # of the ping in the stream, at most
        self._arrived = 0

    def moved_at(self) -> float:
        """When it was last seen to get on, if it was since the last look."""
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
