"""A session as broadcasts see it: it gets a message, waits for room, or is skipped."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._connection.queue import Queue, Waiter

__all__ = ["Listener"]

log: logging.Logger = logging.getLogger("vuer_trio.server")


class Listener:
    """What a broadcast knows of one session.

    A session that was skipped lags until its outbox is half empty. It has caught up then; before
    that, it might have room again each time that it is asked.

    Until `release`, messages stay in the outbox: a write costs twenty times as much, and a stranger
    with a thousand silent sockets would cause a thousand of them for each broadcast.
    """

    __slots__ = ("_outbox", "_peer", "lags", "offer", "skipped")

    def __init__(self, outbox: Queue[bytes], peer: str) -> None:
        self._outbox = outbox
        self._peer = peer
        #: whether a message was skipped, and the outbox has not been half empty since
        self.lags: bool = False
        #: the number of broadcasts that the session has missed
        self.skipped: int = 0
        #: enqueues a message; False if there is no room. A closed session accepts everything. It is
        #: the outbox's own, because each broadcast calls it for each session
        self.offer: Callable[[bytes], bool] = outbox.offer_broadcast

    def hold(self) -> None:
        """Keep messages in the outbox until `release`."""
        self.offer = self._outbox.offer_asleep

    def release(self) -> None:
        """The client has introduced itself: what was enqueued for it is sent."""
        self.offer = self._outbox.offer_broadcast
        self._outbox.wake()

    def catch_up(self) -> None:
        """The session no longer lags, if its outbox is half empty."""
        if self._outbox.is_half_empty:
            self.lags = False

    def offer_later(self, message: bytes) -> Waiter | None:
        """Wait in line for room, after `offer` returned False. Returns None for a session that
        lags: it is skipped.
        """
        if self.lags:
            self.skip()
            return None
        return self._outbox.put_later(message)

    def withdraw(self, waiter: Waiter) -> bool:
        """Stop waiting; whether the message had still not been enqueued."""
        return self._outbox.withdraw(waiter)

    def skip(self) -> None:
        """The session misses a message, because its outbox is full."""
        self.skipped += 1
        if not self.lags:
            self.lags = True
            log.warning(
                "%s reads too slowly, and broadcasts leave it out when its outbox is full (%d "
                "messages, %d bytes), until that is half empty: what it shows may be out of date",
                self._peer,
                self._outbox.count,
                self._outbox.bytes,
            )
