"""A large message that arrives in parts, and the memory of those before it, which it may take.

A large block of memory is the system's as soon as it is freed, and comes back page by page, zeroed,
which takes longer than to copy it. So a few blocks are kept, and used again once nobody has a view
of the message that was in them. What follows of the next message is read right into one.
"""

from __future__ import annotations

import threading
import weakref

from .._memory import keep_freed_memory
from .transport import Message

__all__ = ["KeptBuffers", "LargeMessage", "kept_buffers"]

#: bytes of the messages whose memory is kept; that of smaller ones is not given back at once
_SMALLEST, _LARGEST = 1 << 20, 20 << 20
#: bytes that are kept in a thread, those that are in use included: for two messages in turn
_MOST = 2 * _LARGEST
#: bytes of a part that is worth an object of its own
_OWN = 4096
#: bytes that are read at once to where they belong
_READ = 1 << 20


class KeptBuffers:
    """The memory of large messages, which the connections of one thread share."""

    def __init__(self) -> None:
        self._buffers: list[bytearray] = []  # the oldest first
        self._thread = threading.get_ident()

    @property
    def size(self) -> int:
        """The bytes that are kept."""
        return sum(map(len, self._buffers))

    def take(self, size: int) -> memoryview | None:
        """Room for so many bytes in a buffer that is free, and no more than a quarter larger."""
        if threading.get_ident() == self._thread:  # an event loop may have moved to another one
            for buffer in self._buffers:
                if 4 * size <= 4 * len(buffer) <= 5 * size and _is_free(buffer):
                    return memoryview(buffer)[:size]
        return None

    def keep(self, buffer: bytearray) -> None:
        """Use it again when it is free, if there is room for it beside those that are in use."""
        if threading.get_ident() != self._thread:
            return
        excess = self.size + len(buffer) - _MOST
        for other in tuple(self._buffers):
            if excess > 0 and _is_free(other):
                self._buffers.remove(other)
                excess -= len(other)
        if excess <= 0:
            self._buffers.append(buffer)


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
    """Add its parts in order until `missing` is 0. What is claimed is not allocated: without memory
    of another message, it takes as much as has arrived."""

    __slots__ = ("_grown", "_kept", "_own", "_parts", "_room", "arrived", "missing")

    def __init__(self, size: int, kept: KeptBuffers) -> None:
        self._kept = kept if _SMALLEST <= size <= _LARGEST else None
        if self._kept is not None:
            keep_freed_memory()
        self._room = None if self._kept is None else self._kept.take(size)
        # Without a room: parts are joined at the end, since memory that grows is moved again and
        # again. Not those of messages so short that this leaves holes between them, or so long that
        # twice the size is too much; and no small parts, around which more memory would be than in
        # them.
        self._parts: list[bytes | bytearray] = []
        self._grown = bytearray()  # parts that are joined already
        self._own = size + 1 if self._kept is None else _OWN
        #: bytes that are here
        self.arrived = 0
        #: and those that are not
        self.missing = size

    @property
    def is_kept(self) -> bool:
        """Whether its memory is used again."""
        return self._kept is not None

    @property
    def held(self) -> int:
        """Bytes of memory."""
        return self.arrived if self._room is None else len(self._room)

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
            self._collect(part)
        elif not (isinstance(part, memoryview) and part.obj is self._room.obj):
            self._room[start:end] = part

    def _collect(self, part: bytes | memoryview) -> None:
        has_own = len(part) >= self._own
        if not has_own:
            self._grown += part
        if has_own or len(self._grown) >= self._own:
            self._parts.append(self._grown)
            self._grown = bytearray()
        if has_own:
            self._parts.append(bytes(part))

    def whole(self) -> Message:
        """The payload, once nothing is missing."""
        if self._room is not None:
            return self._room
        parts = self._parts
        whole = bytearray().join([*parts, self._grown]) if parts else self._grown
        if self._kept is None:
            return whole
        self._kept.keep(whole)
        return memoryview(whole)
