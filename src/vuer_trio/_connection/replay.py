"""What may not have been read: kept, and sent again on the next link."""

from __future__ import annotations

import math
from collections import deque

from .._interrupts import protected_methods
from .._runtime import Runtime
from .._websocket.transport import Outgoing, Ping
from .keepalive import Keepalive
from .queue import Queue

__all__ = ["Replay"]

#: messages, and bytes, after which the peer is asked what it has read
_COUNT, _BYTES = 256, 1 << 20


@protected_methods
class Replay:
    """Remembers what no pong has confirmed. It counts against the outbox."""

    def __init__(self, rt: Runtime, outbox: Queue[Outgoing], keepalive: Keepalive) -> None:
        self._rt = rt
        self._outbox = outbox
        self._keepalive = keepalive
        self._sent: deque[Outgoing] = deque()  # in order, pings between
        #: the pings among them, and whether they are ours: those came out of no box
        self._asked: dict[bytes, bool] = {}
        self._count = 0  # messages, and bytes, since the last ping
        self._bytes = 0
        #: when something was confirmed last
        self.confirmed_at: float = -math.inf

    @property
    def unconfirmed(self) -> int:
        """Messages that the peer may not have read."""
        return len(self._sent) - len(self._asked)

    def send(self, batch: list[Outgoing]) -> None:
        """Remember ``batch``, which is about to be written, and put pings of ours into it.

        Also behind the last message before a pause, unless an answer is still to come: it will
        ask for the rest (`confirm`).
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
        """The peer has read everything before the ping with this key, if it is one of these."""
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
        """The link is lost: all of it is to be written again, before everything else."""
        again = [i for i in self._sent if not (type(i) is Ping and self._asked[bytes(i)])]
        self._sent.clear()
        self._asked.clear()
        self._count = self._bytes = 0
        self._outbox.put_back(again)
