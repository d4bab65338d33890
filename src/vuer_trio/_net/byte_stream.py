"""Byte streams, as the transports use them: read into a shared buffer, write what fits now.

A wire raises OSError when the other side is gone, and nothing else.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import perf_counter
from typing import Protocol

import trio

from .._interrupts import protected_methods
from .read_budget import WAKE

if sys.platform != "win32":
    import fcntl
    import termios

__all__ = [
    "READ",
    "SLICE",
    "STEP",
    "ByteStream",
    "SocketStream",
    "Take",
    "TrioStream",
    "read_buffer",
    "unsent_bytes",
]

#: bytes; one read. Larger ones gain nothing for small messages and cost cache for large ones.
READ = 65_536
#: bytes; the step of a long write
SLICE = 262_144
#: bytes; the same where only whole steps are seen to leave, so that a slow line is seen to move
STEP = 16_384
#: reads for each wake of the reader: more help large messages, fewer help the other tasks
_BURST = 8
#: seconds; a peer that writes again within it waits for answers, more likely than not
_QUICK = 0.001

#: takes some bytes, or none at the end; returns whether to read on
Take = Callable[[memoryview], bool]


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(READ))


_scratch = _Scratch()


def read_buffer() -> memoryview:
    """What to read into. Reading and feeding is one sync step, so one buffer serves every
    connection of a thread; another thread's loop may run in between, and has its own."""
    return _scratch.buffer


class ByteStream(Protocol):
    """A byte stream."""

    @property
    def progress(self) -> float:
        """When bytes last left, on the runtime's clock: when they were last seen to have."""

    @property
    def position(self) -> int:
        """Bytes of this stream that the system was given so far."""

    @property
    def arrived(self) -> int:
        """Those of them that the other side's system has, as far as this one can tell."""

    @property
    def takes_all(self) -> bool:
        """Whether `try_send` would take all that it is given now, whatever its size."""

    async def receive(self) -> memoryview:
        """Some bytes, or none at the end; valid until the next await of any task."""

    async def pump(self, take: Take) -> None:
        """Read and hand over, until ``take`` wants no more. May be called again."""

    def try_send(self, data: bytes) -> int:
        """Send what the system takes at once; how many bytes that was."""

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send everything. Cancelled: an unknown part has gone."""

    async def send_eof(self) -> None:
        """Tell the other side that nothing more comes, where the stream can say that alone."""

    async def aclose(self) -> None:
        """Close without waiting for the other side. Idempotent, and done even if cancelled."""


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

    async def receive(self) -> memoryview:
        while True:
            await self._readable()
            data = self._receive_nowait()
            if data is not None:
                return data

    async def _readable(self) -> None:
        try:
            await trio.lowlevel.wait_readable(self._sock)
        except (trio.ClosedResourceError, ValueError) as exc:
            raise ConnectionAbortedError("closed by this side") from exc

    def _receive_nowait(self) -> memoryview | None:
        """Like `receive`, but None when nothing is there yet."""
        try:
            return self._buffer[: self._sock.recv_into(self._buffer)]
        except (BlockingIOError, InterruptedError):
            return None

    async def pump(self, take: Take) -> None:
        read_at = -inf
        while True:
            await self._readable()
            woken = perf_counter()
            for _ in range(_BURST):
                data = self._receive_nowait()
                if data is None:
                    break
                if not take(data):
                    return
                if len(data) < READ or perf_counter() - woken > WAKE:
                    break  # there is no more, or the others are to run first
            last, read_at = read_at, perf_counter()
            if read_at - last < _QUICK:
                # Whoever was woken answers first, and the socket is armed while the peer works:
                # a sixth more round trips. Trio turns some batches round, so one turn of the loop
                # is not enough. A slow peer would only cost the turns.
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()

    def try_send(self, data: bytes | memoryview) -> int:
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        self.position += sent
        return sent

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
                if not self._receive_nowait():
                    break
            self._sock.shutdown(socket.SHUT_WR)
        self._sock.close()


@protected_methods
class TrioStream:
    """Any Trio byte stream: a stream in memory, a stream of the user's."""

    position = arrived = 0  # it does not tell
    takes_all = False

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.progress = trio.current_time()

    async def receive(self) -> memoryview:
        try:
            return memoryview(await self._stream.receive_some(READ))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise _broken(exc) from exc

    async def pump(self, take: Take) -> None:
        while take(await self.receive()):
            pass

    def try_send(self, data: bytes) -> int:
        return 0

    async def send_all(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        try:
            for start in range(0, len(view), STEP):
                await self._stream.send_all(view[start : start + STEP])
                self.progress = trio.current_time()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise _broken(exc) from exc

    async def send_eof(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            try:
                await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                raise _broken(exc) from exc

    async def aclose(self) -> None:
        with suppress(trio.Cancelled, trio.BrokenResourceError):
            await trio.aclose_forcefully(self._stream)


def unsent_bytes(descriptor: int) -> int:
    """What the system holds that the peer of a socket has not acknowledged; 0 where it does not
    tell."""
    if sys.platform == "win32" or descriptor < 0:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def _broken(exc: BaseException) -> OSError:
    cause = exc.__cause__
    if isinstance(cause, OSError) and cause.errno is not None:
        return cause
    return ConnectionResetError(str(cause or exc) or "the stream broke")
