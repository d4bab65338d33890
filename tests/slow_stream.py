"""A slow line with a queue of its own, in virtual time, on Trio."""

from __future__ import annotations

from collections import deque
from typing import Any

import trio

from tests.stream_wrappers import PassthroughStream

__all__ = ["PACKET", "SlowStream"]

#: bytes that come together, when the last of them does
PACKET = 4096


class SlowStream(PassthroughStream):
    """What is received has come over a line of ``rate`` bytes a second, with a round trip of
    ``rtt`` seconds, all of it on this way. The line takes what there is at once, until that is
    ``queue`` seconds' worth."""

    def __init__(
        self, stream: Any, nursery: trio.Nursery, rate: float, rtt: float, queue: float = 1.0
    ) -> None:
        super().__init__(stream)
        self.rate, self.rtt, self.queue = rate, rtt, queue
        self.carried = 0  # bytes
        self._free_at = trio.current_time()
        self._on_the_way: deque[tuple[float, bytes]] = deque()
        self._changed = trio.Event()
        nursery.start_soon(self._carry)

    async def _carry(self) -> None:
        while True:
            try:
                data = await self.stream.receive_some(PACKET)
            except trio.ClosedResourceError:
                data = b""
            now = trio.current_time()
            self._free_at = max(self._free_at, now) + len(data) / self.rate
            self._on_the_way.append((self._free_at + self.rtt, data))
            self._changed.set()
            if not data:
                return
            await trio.sleep_until(self._free_at - self.queue)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while not self._on_the_way:
            self._changed = trio.Event()
            await self._changed.wait()
        await trio.sleep_until(self._on_the_way[0][0])
        data = self._on_the_way.popleft()[1]
        self.carried += len(data)
        return data
