"""Byte streams on asyncio: the loop's own transports, and anyio's streams."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import AbstractContextManager, suppress
from typing import Any

import anyio
import anyio.abc

from .._asyncio_event import Event
from .byte_stream import (
    READ,
    READ_ENCRYPTED,
    SLICE,
    ForeignStream,
    Room,
    Take,
    read_buffer,
    unsent_bytes,
)
from .socket_options import long_write, prepare_socket

__all__ = ["AnyioStream", "LoopStream"]


class LoopStream(asyncio.BufferedProtocol):
    """A connection of the loop's. While it is pumped the loop feeds it without waking a task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = read_buffer()
        self._into = self._buffer  # what the loop reads into
        self._transport: Any = None
        self._early = bytearray()  # what arrived while nobody pumped
        self._take: Take | None = None
        self._room: Room | None = None
        self._changed = Event()  # for the reader: bytes, the end, or `take` had enough
        self._writable = Event()
        self._writable.set()
        self._lost = Event()
        self._ended = False
        self._error: Exception | None = None
        self._fault: Exception | None = None  # what `take` raised
        self.position = 0
        self._progress = self._loop.time()
        self._unsent = 0  # while a write waits for the system to take more

    # ---- the loop's calls

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=1, low=0)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            prepare_socket(sock)

    def get_buffer(self, sizehint: int) -> memoryview:
        self._into = (self._room and self._room()) or self._buffer
        return self._into

    def buffer_updated(self, nbytes: int) -> None:
        data, self._into = self._into[:nbytes], self._buffer
        self._arrived(data)

    def _arrived(self, data: memoryview) -> None:
        if self._take is None:
            self._early += data
            self._transport.pause_reading()
            self._changed.set()
        else:
            try:
                more = self._take(data)
            except Exception as exc:  # for the reader, who can tell somebody
                self._fault = exc
                more = False
            if not more:
                self._take = None
                self._transport.pause_reading()
                self._changed.set()

    def eof_received(self) -> bool:
        self._end()
        return True  # a close frame may still be answered

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._read_last_words()
        self._error = self._error or exc
        self._end()
        self._writable.set()
        self._lost.set()

    def _read_last_words(self) -> None:
        """A write that fails closes the loop's transport at once, though a close frame that says
        why may have been received already: the descriptor is open until this callback returns."""
        with suppress(OSError, AttributeError):
            descriptor = os.dup(self._transport.get_extra_info("socket").fileno())
            with socket.socket(fileno=descriptor) as sock:
                sock.setblocking(False)
                for _ in range(64):
                    data = sock.recv(READ)
                    if not data:
                        break
                    self._arrived(memoryview(data))

    def pause_writing(self) -> None:
        self._writable.clear()
        self._unsent = self._count_unsent()

    def resume_writing(self) -> None:
        self._progress = self._loop.time()
        self._writable.set()

    def _count_unsent(self) -> int:
        """Bytes of the loop's, and of the system's."""
        sock = self._transport.get_extra_info("socket")
        held = unsent_bytes(sock.fileno()) if sock is not None else 0
        return held + int(self._transport.get_write_buffer_size())

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._changed.set()

    # ---- ByteStream

    @property
    def progress(self) -> float:
        if not (self._writable.is_set() or self._lost.is_set()):
            # The loop tells when all has left, which may take long on a slow line.
            unsent = self._count_unsent()
            if unsent != self._unsent:
                self._unsent, self._progress = unsent, self._loop.time()
        return self._progress

    @property
    def arrived(self) -> int:
        return self.position - (0 if self._lost.is_set() else self._count_unsent())

    @property
    def takes_all(self) -> bool:
        return self._writable.is_set() and not self._ended

    def read_encrypted(self) -> None:
        self._buffer = read_buffer(READ_ENCRYPTED)  # for fewer turns of the loop

    async def receive(self) -> memoryview:
        while not self._early:
            if self._ended:
                self._raise_error()
                return memoryview(b"")
            await self._wait()
        data, self._early = self._early, bytearray()
        return memoryview(data)

    async def _wait(self) -> None:
        self._changed.clear()
        self._transport.resume_reading()
        await self._changed.wait()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise _as_oserror(self._error)

    async def pump(self, take: Take, room: Room) -> None:
        if (self._early or self._ended) and not take(await self.receive()):
            return
        self._take, self._room = take, room
        try:
            while self._take is not None and not self._ended:
                await self._wait()
        finally:
            finished, self._take, self._room = self._take is None, None, None
        if self._fault is not None:
            raise self._fault
        if not finished:
            self._raise_error()
            take(memoryview(b""))

    def try_send(self, data: bytes) -> int:
        if self._ended or not self._writable.is_set():  # as `takes_all`, without the call
            return 0
        try:
            self._transport.write(data)
        except RuntimeError as exc:  # what the loops raise behind `send_eof`
            raise _behind_the_end() from exc
        self.position += len(data)
        return len(data)

    def long_write(self) -> AbstractContextManager[None]:
        return long_write(self._transport.get_extra_info("socket"))

    async def send_all(self, data: bytes | memoryview) -> None:
        writable = self._writable
        for start in range(0, len(data), SLICE):
            if not writable.is_set():
                await writable.wait()
            if self._error is not None or self._transport.is_closing():
                raise _as_oserror(self._error or ConnectionResetError("the stream has ended"))
            part = data[start : start + SLICE]
            try:
                self._transport.write(part)
            except RuntimeError as exc:
                raise _behind_the_end() from exc
            self.position += len(part)
            self._progress = self._loop.time()
        if not writable.is_set():
            await writable.wait()

    async def send_eof(self) -> None:
        if not self._transport.is_closing():
            self._transport.write_eof()

    async def aclose(self) -> None:
        if self._writable.is_set():
            self._transport.close()
        else:
            self._transport.abort()
        await self._lost.wait()


class AnyioStream(ForeignStream):
    """Any byte stream of anyio's, or of the user's."""

    _broken = (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError)

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        super().__init__(anyio.current_time)
        self._stream = stream
        self._sent_eof = False

    async def _receive(self) -> bytes:
        try:
            return await self._stream.receive(READ)
        except anyio.EndOfStream:
            return b""

    async def _send(self, data: memoryview) -> None:
        try:
            await self._stream.send(bytes(data))
        except RuntimeError as exc:  # of a socket of anyio's, behind `send_eof`
            if self._sent_eof:
                raise anyio.ClosedResourceError from exc
            raise

    def _as_oserror(self, exc: BaseException) -> OSError:
        return _as_oserror(exc)

    async def send_eof(self) -> None:
        self._sent_eof = True
        try:
            with suppress(NotImplementedError):  # TLS
                await self._stream.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as exc:
            raise _as_oserror(exc) from exc

    async def aclose(self) -> None:
        with suppress(Exception):
            await anyio.aclose_forcefully(self._stream)


def _behind_the_end() -> OSError:
    return ConnectionAbortedError("this side has ended the stream")


def _as_oserror(exc: BaseException) -> OSError:
    if isinstance(exc, OSError):
        return exc
    cause = exc.__cause__
    return cause if isinstance(cause, OSError) else ConnectionResetError(str(exc) or repr(exc))
