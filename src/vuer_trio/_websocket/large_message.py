"""A large message that arrives in parts, and the memory of those before it, which it may take.

A large block of memory is the system's as soon as it is freed, and comes back page by page, zeroed,
which takes longer than to copy it. So a few blocks are kept, and used again once nobody has a view
of the message that was in them. What follows of the next message is read right into one.
"""

from __future__ import annotations

import threading
import weakref
from time import monotonic

from .transport import Message

__all__ = ["KeptBuffers", "LargeMessage", "kept_buffers"]

#: bytes of the messages whose memory is kept; that of smaller ones is not given back at once
_SMALLEST, _LARGEST = 1 << 20, 1 << 25
#: bytes that are kept, of all connections in a thread
_MOST = 1 << 26
#: bytes that are read at once to where they belong
_READ = 1 << 20
#: seconds without a large message after which nothing is kept
_IDLE = 10.0


class KeptBuffers:
    """The memory of large messages, which the connections of one thread share."""

    def __init__(self) -> None:
        self._buffers: list[bytearray] = []
        self._used = 0.0

    @property
    def size(self) -> int:
        """The bytes that are kept."""
        return sum(map(len, self._buffers))

    def take(self, size: int) -> bytearray | None:
        """One that is free, has room for so many bytes, and not for more than twice as many."""
        self._used = monotonic()
        for place, buffer in enumerate(self._buffers):
            if size <= len(buffer) <= 2 * size and _is_free(buffer):
                return self._buffers.pop(place)
        return None

    def keep(self, buffer: bytearray) -> None:
        """Use it again when it is free, if not too much is kept."""
        self._used = monotonic()
        self._buffers.append(buffer)
        while self.size > _MOST:
            del self._buffers[0]

    def give_back_if_idle(self) -> None:
        if self._buffers and monotonic() - self._used > _IDLE:
            self._buffers.clear()


class _Shared(threading.local):
    kept: weakref.ref[KeptBuffers] | None = None


_shared = _Shared()


def kept_buffers() -> KeptBuffers:
    """Those of this thread: they are kept as long as a connection has them."""
    kept = None if _shared.kept is None else _shared.kept()
    if kept is None:
        kept = KeptBuffers()
        _shared.kept = weakref.ref(kept)
    return kept


def _is_free(buffer: bytearray) -> bool:
    """Whether nobody has a view of it: while somebody has, Python lets nobody change its size."""
    try:
        buffer.append(buffer.pop())
    except BufferError:
        return False
    return True


class LargeMessage:
    """Add its parts in order until `missing` is 0. Nothing is allocated before it has arrived."""

    __slots__ = ("_buffer", "_kept", "_room", "arrived", "missing")

    def __init__(self, size: int, kept: KeptBuffers) -> None:
        self._kept = kept if _SMALLEST <= size <= _LARGEST else None
        buffer = None if self._kept is None else self._kept.take(size)
        self._room = None if buffer is None else memoryview(buffer)[:size]
        self._buffer = bytearray() if buffer is None else buffer
        #: bytes that are here
        self.arrived = 0
        #: and those that are not
        self.missing = size

    def room(self) -> memoryview | None:
        """Where its next bytes belong, once there is a place for them."""
        if self._room is None:
            return None
        return self._room[self.arrived : self.arrived + _READ]

    def add(self, part: bytes | memoryview) -> None:
        start = self.arrived
        self.arrived = end = start + len(part)
        self.missing -= len(part)
        if self._room is None:
            self._buffer += part
        elif not (isinstance(part, memoryview) and part.obj is self._buffer):
            self._room[start:end] = part

    def whole(self) -> Message:
        """The payload, once nothing is missing."""
        if self._kept is None:
            return self._buffer
        self._kept.keep(self._buffer)
        return memoryview(self._buffer) if self._room is None else self._room
