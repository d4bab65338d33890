"""A session as a broadcast sees it: it takes a message, waits in line for it, or is skipped."""

from __future__ import annotations

import logging

from .._connection.queue import Queue, Waiter

__all__ = ["Listener"]

log: logging.Logger = logging.getLogger("vuer_trio.server")


class Listener:
    """One session's. It lags from a broadcast that it did not get until its outbox is half empty:
    then it has caught up, and could have room each time that it is asked.

    Until `release`, what it gets lies in the outbox: a write costs twenty times as much, and who
    opens a thousand sockets and says nothing would have a thousand of each broadcast.
    """

    __slots__ = ("_lags", "_outbox", "_peer", "holds", "skipped")

    def __init__(self, outbox: Queue[bytes], peer: str) -> None:
        self._outbox = outbox
        self._peer = peer
        self._lags = False
        #: whether it is before `release`
        self.holds: bool = False
        #: broadcasts that it did not get
        self.skipped: int = 0

    def offer(self, message: bytes) -> bool:
        """Enqueue a broadcast; False if there is no room. A closed session takes all."""
        outbox = self._outbox
        if outbox.closed is not None:
            return True
        offer = outbox.offer_asleep if self.holds else outbox.offer_shared
        if not offer(message):
            return False
        if self._lags and outbox.is_half_empty:
            self._lags = False
        return True

    def release(self) -> None:
        """It is known who this is: what it has got goes out."""
        if self.holds:
            self.holds = False
            self._outbox.wake()

    def offer_later(self, message: bytes) -> Waiter | None:
        """After `offer` said no: a place in the line; None for one that lags: it is skipped."""
        if self._lags:
            self.skip()
            return None
        return self._outbox.put_later(message)

    def withdraw(self, waiter: Waiter) -> bool:
        """Give up a place in the line; whether it was still one."""
        return self._outbox.withdraw(waiter)

    def skip(self) -> None:
        """It does not get a broadcast, as its outbox is full."""
        self.skipped += 1
        if not self._lags:
            self._lags = True
            log.warning(
                "%s reads too slowly, and broadcasts leave it out when its outbox is full (%d "
                "messages, %d bytes), until that is half empty: what it shows may be out of date",
                self._peer,
                self._outbox.count,
                self._outbox.bytes,
            )
