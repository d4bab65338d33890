"""A session as a broadcast sees it: it takes a message, waits in line for it, or is skipped."""

from __future__ import annotations

import logging

from .._link.box import Box, Ticket

__all__ = ["Listener"]

log = logging.getLogger("vuer_trio.server")


class Listener:
    """One session's. It lags from a broadcast that it did not get until its outbox is half empty:
    then it has caught up, and could have room each time that it is asked."""

    __slots__ = ("_lags", "_outbox", "_peer", "skipped")

    def __init__(self, outbox: Box[bytes], peer: str) -> None:
        self._outbox = outbox
        self._peer = peer
        self._lags = False
        #: broadcasts that it did not get
        self.skipped = 0

    def offer(self, message: bytes) -> bool:
        """Enqueue a broadcast; False if there is no room. A closed session takes all."""
        outbox = self._outbox
        if outbox.closed is not None:
            return True
        if not outbox.offer_shared(message):
            return False
        if self._lags and outbox.is_half_empty:
            self._lags = False
        return True

    def offer_later(self, message: bytes) -> Ticket | None:
        """After `offer` said no: a place in the line; None for one that lags: it is skipped."""
        if self._lags:
            self.skip()
            return None
        return self._outbox.put_later(message)

    def withdraw(self, ticket: Ticket) -> bool:
        """Give up a place in the line; whether it was still one."""
        return self._outbox.withdraw(ticket)

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
