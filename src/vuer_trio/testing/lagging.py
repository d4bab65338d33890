"""Connections whose readers lag, each time by a different delay."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager

from .._formatting import must_be
from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream, Room, StreamLayer, Take
from .._net.layers import layer_over_all
from .._runtime import runtime

__all__ = ["lagging"]

#: seconds
_MOST = 0.005


@contextmanager
def lagging(most: float = _MOST, *, seed: int = 0) -> Iterator[None]:
    """``with lagging(0.02, seed=3):`` delays what arrives, by 0 to ``most`` seconds.

    Whatever this library reads from a connection opened in the block, the end of the stream
    included, reaches it only after a random delay, measured by the clock of the event loop. Nothing
    is lost, split or reordered: connections merely run at different speeds, as over a network. This
    applies to clients, servers, sessions, agents and relays, over sockets, with TLS, and in memory,
    under Trio and under asyncio, in every thread. To delay a single stream, use `faulty` with
    `Delay`.

    The delays of each connection depend on ``seed`` and on how many were opened before it.

    Raises TypeError and ValueError for an invalid ``most``. Cancelled while it waits, a read loses
    nothing.
    """
    if isinstance(most, bool) or not isinstance(most, int | float):
        raise TypeError(must_be("most", "a number of seconds", most))
    if not 0 <= most < math.inf:
        raise ValueError(must_be("most", "at least 0, and finite", most))
    numbers = itertools.count()

    def layer(stream: ByteStream) -> ByteStream:
        return _Lagging(stream, most, random.Random(f"{seed} {next(numbers)}"))

    with layer_over_all(layer):
        yield


@protected_methods
class _Lagging(StreamLayer):
    """See `ByteStream`."""

    def __init__(self, stream: ByteStream, most: float, chance: random.Random) -> None:
        self._stream = stream
        self._most = most
        self._chance = chance
        self._rt = runtime()
        # What has been read, and when it is to be seen: kept here while that is waited for, so a
        # cancellation loses nothing.
        self._held: bytes | None = None
        self._due = 0.0

    @property
    def takes_all(self) -> bool:
        return self._stream.takes_all

    async def receive(self) -> memoryview:
        if self._held is None:
            self._held = bytes(await self._stream.receive())
            self._due = self._rt.current_time() + self._chance.uniform(0, self._most)
        await self._rt.sleep_until(self._due)
        held, self._held = self._held, None
        return memoryview(held)

    async def pump(self, take: Take, room: Room) -> None:
        while take(await self.receive()):
            pass

    def try_send(self, data: bytes) -> int:
        return self._stream.try_send(data)

    async def send_all(self, data: bytes | memoryview) -> None:
        await self._stream.send_all(data)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()
