"""Pings: a heartbeat, and the proof that a peer has read what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._runtime import protected
from .._transport.base import Ping, Transport
from .calls import Calls

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Pings"]


class Pings:
    """All pings of one link. A heartbeat overtakes data; a flush waits its turn behind it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._rt = link.rt
        self._count = 0
        self._beat_key = b""
        self._beat_at = 0.0
        self.awaited: Calls[None] = Calls(link.rt)

    async def flush(self) -> None:
        """Wait for the answer to a ping behind everything enqueued so far."""
        key = self._new_key()
        with self.awaited.expect(key) as call:
            self._link.outbox.put(Ping(key))
            await call.wait()

    def ponged(self, payload: bytes) -> None:
        """A pong arrived."""
        if payload == self._beat_key:
            self._link.counters.round_trip(self._rt.current_time() - self._beat_at)
        self.awaited.settle_up_to(payload, None)

    def _new_key(self) -> bytes:
        self._count += 1
        return b"%x" % self._count

    @protected
    async def beat(self, transport: Transport) -> None:
        """Ask for a sign of life after a silence; end the link after as much again.

        Any received data is life. A ping that is stuck behind a large message is not late while
        that message moves, and none is while a full inbox keeps the reader from reading.
        """
        link, rt, interval = self._link, self._rt, self._link.heartbeat
        while True:
            if rt.current_time() < link.heard_at + interval:
                await rt.sleep_until(link.heard_at + interval)
                continue
            asked = rt.current_time()
            self._beat_key, self._beat_at = self._new_key(), asked
            transport.ping(self._beat_key)
            since = asked
            while rt.current_time() < since + interval:
                await rt.sleep_until(since + interval)
                if link.writing or transport.pending:
                    since = max(asked, transport.progress)
            if link.heard_at <= asked and not link.stopped:
                link.lose(f"no sign of life within {interval:g} s of a ping")
                return
