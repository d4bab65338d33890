"""Pings: a heartbeat, and the proof that a peer has read what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._interrupts import protected_methods
from .._transport.base import Ping, Transport
from .calls import Calls
from .link import State

if TYPE_CHECKING:
    from .keeper import Keeper
    from .link import Link

__all__ = ["Pings"]


@protected_methods
class Pings:
    """All pings of a connection. A heartbeat overtakes data; a flush waits its turn behind it."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._rt = keeper.rt
        self._count = 0
        self._beat_key = b""
        self._beat_at = 0.0
        self.awaited: Calls[None] = Calls(keeper.rt)
        self._later: set[bytes] = set()  # to be asked when the next link opens

    def new_key(self) -> bytes:
        """A payload that no other ping of this connection has."""
        self._count += 1
        return b"%x" % self._count

    async def flush(self) -> None:
        """Wait for the answer to a ping behind everything enqueued so far.

        Between two links nothing is enqueued: whoever gives up waiting leaves nothing behind.
        """
        key = self.new_key()
        with self.awaited.expect(key) as call:
            if self._keeper.state is State.GAP:
                self._later.add(key)
            else:
                self._keeper.outbox.put(Ping(key))
            await call.wait()

    def ask_again(self) -> None:
        """A link has opened: of the answers awaited, the last one took some pings with it, and
        some were never asked for."""
        outbox = self._keeper.outbox
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
            self._keeper.counters.round_trip(self._rt.current_time() - self._beat_at)
        self._keeper.confirmed(payload)
        self.awaited.settle_up_to(payload, None)

    async def beat(self, link: Link, transport: Transport) -> None:
        """Ask for a sign of life after a silence; end the link after as much again.

        Any received data is life. A ping that is stuck behind a large message is not late while
        that message moves, and none is while a full inbox keeps the reader from reading.
        """
        rt, interval, counters = self._rt, self._keeper.heartbeat, self._keeper.counters
        while True:
            if rt.current_time() < link.heard_at + interval:
                await rt.sleep_until(link.heard_at + interval)
                continue
            asked, heard = rt.current_time(), counters.bytes_received
            stuck = link.writing or transport.pending
            self._beat_key, self._beat_at = self.new_key(), asked
            transport.ping(self._beat_key)
            since = asked
            while rt.current_time() < since + interval:
                await rt.sleep_until(since + interval)
                if stuck:
                    since = max(asked, transport.progress)
                    stuck = link.writing or transport.pending
            if counters.bytes_received == heard and not self._keeper.stopped:
                link.lose(f"no sign of life within {interval:g} s of a ping")
                return
