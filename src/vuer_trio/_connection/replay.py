"""Keeping sent messages that may not have been read, to send them again on the next link."""

from __future__ import annotations

import math
from collections import deque

from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import Outgoing, Ping
from .keepalive import Keepalive
from .queue import Queue

__all__ = ["Replay"]

#: messages and bytes after which a ping asks for confirmation
_COUNT, _BYTES = 256, 1 << 20


@protected_methods
class Replay:
    """Keeps messages that no pong has confirmed. They count against the outbox."""

    def __init__(self, rt: Runtime, outbox: Queue[Outgoing], keepalive: Keepalive) -> None:
        self._rt = rt
        self._outbox = outbox
        self._keepalive = keepalive
        self._sent: deque[Outgoing] = deque()  # in order, with pings among them
        #: the pings among them, and whether they were added here, not taken from the outbox
        self._asked: dict[bytes, bool] = {}
        self._count = 0  # messages and bytes since the last ping
        self._bytes = 0
        #: the time of the latest confirmation
        self.confirmed_at: float = -math.inf

    @property
    def unconfirmed(self) -> int:
        """The number of messages that the peer may not have read."""
        return len(self._sent) - len(self._asked)

    def send(self, batch: list[Outgoing]) -> None:
        """Keep ``batch``, which is about to be written, and add pings to it.

        The last message before a pause is followed by a ping, too, unless a pong is still awaited:
        then `confirm` sends the next ping.
        """
        marked: list[Outgoing] = []
        for item in batch:
            marked.append(item)
            if type(item) is Ping:
                self._asked[bytes(item)] = False
                self._count = self._bytes = 0
                continue
            self._count += 1
            self._bytes += len(item)
            if self._count >= _COUNT or self._bytes >= _BYTES:
                marked.append(self._ask())
        if self._count and not self._asked and not self._outbox.items:
            marked.append(self._ask())
        self._sent.extend(marked)
        batch[:] = marked

    def _ask(self) -> Ping:
        key = self._keepalive.new_key()
        self._asked[key] = True
        self._count = self._bytes = 0
        return Ping(key)

    def confirm(self, key: bytes) -> None:
        """The peer has read everything before the ping with ``key``: drop that, if it is kept."""
        if key not in self._asked:
            return
        self.confirmed_at = self._rt.current_time()
        done = []
        while key in self._asked:
            item = self._sent.popleft()
            ours = self._asked.pop(bytes(item)) if type(item) is Ping else False
            if not ours:
                done.append(item)
        self._outbox.written(done)
        if self._sent and not self._asked and not self._outbox.items:
            self._count = self._bytes = 0
            self._outbox.put(Ping(self._keepalive.new_key()))

    def put_back(self) -> None:
        """The link is lost: return all kept messages to the front of the outbox."""
        again = [i for i in self._sent if not (type(i) is Ping and self._asked[bytes(i)])]
        self._sent.clear()
        self._asked.clear()
        self._count = self._bytes = 0
        self._outbox.put_back(again)
