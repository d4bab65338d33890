"""Byte streams on Trio: sockets, and streams of Trio's or of the user's."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager, suppress
from math import inf
from time import perf_counter

import trio

from .._interrupts import protected_methods
from .byte_stream import READ, ForeignStream, Room, Take, read_buffer, unsent_bytes
from .read_budget import WAKE
from .socket_options import long_write

__all__ = ["SocketStream", "TrioStream"]

#: reads for each wake of the reader: more help large messages, fewer help the other tasks
_BURST = 8
#: seconds; a peer that writes again within it waits for answers, more likely than not
_QUICK = 0.001


@protected_methods
class SocketStream:
    """A connected socket on Trio, without a layer between: a tenth faster than a stream object,
    and half its CPU time for many small messages."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = read_buffer()
        self.position = 0
        self._progress = trio.current_time()
        self._unsent: int | None = None  # while a write waits for the system to take more

    @property
    def progress(self) -> float:
        if self._unsent is not None:
            # The system wants a good part of its buffer empty before it takes more.
            unsent = unsent_bytes(self._sock.fileno())
            if unsent != self._unsent:
                self._unsent, self._progress = unsent, trio.current_time()
        return self._progress

    @property
    def arrived(self) -> int:
        return self.position - unsent_bytes(self._sock.fileno())

    takes_all = False

    def read_encrypted(self) -> None:
        """`pump` reads on as long as something is there."""

    async def receive(self) -> memoryview:
        while True:
            await self._readable()
            data = self._receive_nowait(self._buffer)
            if data is not None:
                return data

    async def _readable(self) -> None:
        try:
            await trio.lowlevel.wait_readable(self._sock)
        except (trio.ClosedResourceError, ValueError) as exc:
            raise ConnectionAbortedError("closed by this side") from exc

    def _receive_nowait(self, buffer: memoryview) -> memoryview | None:
        """Like `receive`, but None when nothing is there yet."""
        try:
            return buffer[: self._sock.recv_into(buffer)]
        except (BlockingIOError, InterruptedError):
            return None

    async def pump(self, take: Take, room: Room) -> None:
        read_at = -inf
        while True:
            await self._readable()
            if not self._read_burst(take, room):
                return
            last, read_at = read_at, perf_counter()
            if read_at - last < _QUICK:
                # Whoever was woken answers first, and the socket is armed while the peer works:
                # a sixth more round trips. Trio turns some batches round, so one turn of the loop
                # is not enough. A slow peer would only cost the turns.
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()

    def _read_burst(self, take: Take, room: Room) -> bool:
        """Read while there is something; whether to read on. Nothing of it is held afterwards."""
        woken = perf_counter()
        for _ in range(_BURST):
            buffer = room() or self._buffer
            data = self._receive_nowait(buffer)
            if data is None:
                break
            if not take(data):
                return False
            if len(data) < len(buffer) or perf_counter() - woken > WAKE:
                break  # there is no more, or the others are to run first
        return True

    def try_send(self, data: bytes | memoryview) -> int:
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        self.position += sent
        return sent

    def long_write(self) -> AbstractContextManager[None]:
        return long_write(self._sock)

    async def send_all(self, data: bytes | memoryview) -> None:
        sent = self.try_send(data)
        self._progress = trio.current_time()
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        try:
            while rest:
                self._unsent = unsent_bytes(self._sock.fileno())
                await trio.lowlevel.wait_writable(self._sock)
                sent = self.try_send(rest)
                if sent:
                    self._progress = trio.current_time()
                    rest = rest[sent:]
        except (trio.ClosedResourceError, ValueError) as exc:
            raise ConnectionAbortedError("closed by this side") from exc
        finally:
            self._unsent = None

    async def send_eof(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        if self._sock.fileno() < 0:
            return
        trio.lowlevel.notify_closing(self._sock)
        with suppress(OSError):
            # Closing a socket with unread data resets it, and may destroy what was just sent.
            for _ in range(64):
                if not self._receive_nowait(self._buffer):
                    break
            self._sock.shutdown(socket.SHUT_WR)
        self._sock.close()


@protected_methods
class TrioStream(ForeignStream):
    """Any Trio byte stream: a stream in memory, a stream of the user's."""

    _broken = (trio.BrokenResourceError, trio.ClosedResourceError)

    def __init__(self, stream: trio.abc.Stream) -> None:
        super().__init__(trio.current_time)
        self._stream = stream

    async def _receive(self) -> bytes | bytearray:
        return await self._stream.receive_some(READ)

    async def _send(self, data: memoryview) -> None:
        await self._stream.send_all(data)

    def _as_oserror(self, exc: BaseException) -> OSError:
        cause = exc.__cause__
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause
        return ConnectionResetError(str(cause or exc) or "the stream broke")

    async def send_eof(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            try:
                await self._stream.send_eof()
            except self._broken as exc:
                raise self._as_oserror(exc) from exc

    async def aclose(self) -> None:
        with suppress(trio.Cancelled, trio.BrokenResourceError):
            await trio.aclose_forcefully(self._stream)
