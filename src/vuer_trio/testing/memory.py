"""A pair of byte streams in memory, for both libraries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._runtime import Runtime, runtime
from .streams import Broken, Busy, Closed, in_form

__all__ = ["memory_stream_pair"]

#: bytes on their way, as many as a socket's buffers may hold
_CAPACITY = 65_536


def memory_stream_pair(*, capacity: int = _CAPACITY) -> tuple[Any, Any]:
    """Two connected streams: bytes sent on one are received on the other, without a socket.

    They are `trio.abc.HalfCloseableStream` or, under asyncio, `anyio.abc.ByteStream`. Up to
    ``capacity`` bytes may be in transit in each direction; then sending waits. After one end is
    closed, the other receives the remaining bytes and then the end. Sending to a closed end fails,
    as with a socket.
    """
    rt = runtime()
    there, back = _Pipe(rt, capacity), _Pipe(rt, capacity)
    return in_form(_End(rt, back, there)), in_form(_End(rt, there, back))


class _Pipe:
    """Bytes one way."""

    def __init__(self, rt: Runtime, capacity: int) -> None:
        self.rt = rt
        self.capacity = capacity
        self.data = bytearray()
        self.ended = False  # nothing more comes in
        self.refused = False  # nobody takes what is in
        self._changed = rt.Event()

    def notify(self) -> None:
        self._changed.set()
        self._changed = self.rt.Event()

    async def wait(self) -> None:
        await self._changed.wait()


class _End:
    """One of two."""

    def __init__(self, rt: Runtime, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._rt = rt
        self._in, self._out = incoming, outgoing
        self._closed = False
        self._doing: set[str] = set()

    async def receive(self, most: int) -> bytes:
        await self._rt.checkpoint()
        pipe = self._in
        with self._alone("receive"):
            while not pipe.data and not pipe.ended and not self._closed:
                await pipe.wait()
        if self._closed:
            raise Closed("this end is closed")
        # From here there is no await: who is cancelled has taken nothing.
        data = bytes(pipe.data[:most])
        del pipe.data[:most]
        if data:
            pipe.notify()
        return data

    async def send(self, data: bytes) -> None:
        await self._rt.checkpoint()
        with self._alone("send"):
            await self._send(memoryview(data))

    async def _send(self, rest: memoryview) -> None:
        pipe = self._out
        while True:
            if self._closed or pipe.ended:
                raise Closed("this end is closed")
            if pipe.refused:
                raise Broken("the other end is closed")
            if room := pipe.capacity - len(pipe.data):
                pipe.data += rest[:room]
                rest = rest[room:]
                pipe.notify()
            if not rest:
                return
            await pipe.wait()

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        if what in self._doing:
            raise Busy(f"another task is in {what}")
        self._doing.add(what)
        try:
            yield
        finally:
            self._doing.discard(what)

    async def send_eof(self) -> None:
        if self._closed:
            raise Closed("this end is closed")
        if "send" in self._doing:
            raise Busy("another task is in send")
        self._out.ended = True
        self._out.notify()
        await self._rt.checkpoint()

    async def aclose(self) -> None:
        self._closed = self._out.ended = self._in.refused = True
        self._in.data.clear()
        self._in.notify()
        self._out.notify()
        await self._rt.checkpoint()
