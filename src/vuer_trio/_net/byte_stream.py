"""Byte streams, as the transports use them: read into a shared buffer, write what fits now.

A stream raises OSError when the other side is gone, and nothing else.
"""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Protocol

from .._interrupts import protected_methods

if sys.platform != "win32":
    import fcntl
    import termios

__all__ = [
    "READ",
    "READ_ENCRYPTED",
    "SLICE",
    "STEP",
    "ByteStream",
    "ForeignStream",
    "Room",
    "StreamLayer",
    "Take",
    "nowhere",
    "read_buffer",
    "unsent_bytes",
]

#: bytes; one read. Larger ones gain nothing for small messages and cost cache for large ones.
READ = 65_536
#: bytes; the same of what is to be decrypted
READ_ENCRYPTED = 262_144
#: bytes; the step of a long write
SLICE = 262_144
#: bytes; the same where only whole steps are seen to leave, so that a slow line is seen to move
STEP = 16_384

#: takes some bytes, or none at the end; returns whether to read on
Take = Callable[[memoryview], bool]
#: where the next bytes belong if that is known: those that are read into it need not be copied
Room = Callable[[], memoryview | None]


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[int, memoryview] = {}


_scratch = _Scratch()


def read_buffer(size: int = READ) -> memoryview:
    """What to read into. Reading and feeding is one sync step, so one buffer serves every
    connection of a thread; another thread's loop may run in between, and has its own."""
    buffers = _scratch.buffers
    if size not in buffers:
        buffers[size] = memoryview(bytearray(size))
    return buffers[size]


def nowhere() -> None:
    """The `Room` of bytes that are not yet what belongs somewhere."""


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

    def read_encrypted(self) -> None:
        """What is read from now on is to be decrypted: it may come in larger pieces."""

    async def receive(self) -> memoryview:
        """Some bytes, or none at the end; valid until the next await of any task."""

    async def pump(self, take: Take, room: Room) -> None:
        """Read and hand over, until ``take`` wants no more. May be called again.

        A stream that can reads into ``room``. What is there is handed over, too, before anything
        else is asked of either.
        """

    def try_send(self, data: bytes) -> int:
        """Send what the system takes at once; how many bytes that was."""

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send everything. Cancelled: an unknown part has gone."""

    def long_write(self) -> AbstractContextManager[None]:
        """During the block the system may take as much as it likes: more follows at once."""

    async def send_eof(self) -> None:
        """Tell the other side that nothing more comes, where the stream can say that alone."""

    async def aclose(self) -> None:
        """Close without waiting for the other side. Idempotent, and done even if cancelled."""


@protected_methods
class StreamLayer:
    """What lies over a byte stream: how far it has come is for the stream to tell."""

    _stream: ByteStream

    @property
    def progress(self) -> float:
        return self._stream.progress

    @property
    def position(self) -> int:
        return self._stream.position

    @property
    def arrived(self) -> int:
        return self._stream.arrived

    def read_encrypted(self) -> None:
        self._stream.read_encrypted()

    def long_write(self) -> AbstractContextManager[None]:
        return self._stream.long_write()


@protected_methods
class ForeignStream(ABC):
    """See `ByteStream`. A stream of the library's or of the user's, of which little is known.

    A subclass receives and sends, and names the exceptions of its library in ``_broken``.
    """

    position = arrived = 0  # it does not tell
    takes_all = False
    _broken: ClassVar[tuple[type[BaseException], ...]]

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.progress = now()

    @abstractmethod
    async def _receive(self) -> bytes | bytearray:
        """Some bytes, or none at the end."""

    @abstractmethod
    async def _send(self, data: memoryview) -> None:
        """Send everything."""

    @abstractmethod
    def _as_oserror(self, exc: BaseException) -> OSError:
        """What to raise for one of ``_broken``."""

    def read_encrypted(self) -> None:
        return  # it gives what it gives

    async def receive(self) -> memoryview:
        try:
            return memoryview(await self._receive())
        except self._broken as exc:
            raise self._as_oserror(exc) from exc

    async def pump(self, take: Take, room: Room) -> None:
        while take(await self.receive()):
            pass

    def try_send(self, data: bytes) -> int:
        return 0

    def long_write(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def send_all(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        try:
            for start in range(0, len(view), STEP):
                await self._send(view[start : start + STEP])
                self.progress = self._now()
        except self._broken as exc:
            raise self._as_oserror(exc) from exc


def unsent_bytes(descriptor: int) -> int:
    """What the system holds that the peer of a socket has not acknowledged; 0 where it does not
    tell."""
    if sys.platform == "win32" or descriptor < 0:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0
