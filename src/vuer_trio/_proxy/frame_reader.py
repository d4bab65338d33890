"""Follows a WebSocket that is passed on unchanged: its messages, and where frames end."""

from __future__ import annotations

from collections.abc import Callable

from .._websocket.frames import apply_mask
from .._websocket.transport import Message, Text

__all__ = ["FrameReader"]

_FIN, _RESERVED, _OPCODE, _MASK, _SIZE = 0x80, 0x70, 0x0F, 0x80, 0x7F
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_OPCODES = (_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG)
#: bytes of the payload of a control frame (RFC 6455 §5.5)
_CONTROL = 125


class FrameReader:
    """Sync, and owns no socket: pass all bytes of one direction to `feed`, in order.

    ``take`` gets each whole message, unmasked: ``bytes``, or a `Text`; with None nothing is kept. A
    message of more than ``max_size`` bytes is skipped, and counted in `skipped`. ``masked``: the
    frames are a client's. Bytes that are not WebSocket frames set `broken`, and nothing after them
    is read.
    """

    def __init__(
        self, take: Callable[[Message], object] | None, max_size: int, *, masked: bool
    ) -> None:
        self._take = take
        self._max_size = max_size
        self._masked = masked
        self._head = b""  # the beginning of a header
        self._inside = False  # a frame has begun, of which are missing:
        self._left = 0
        self._first = 0  # byte of its header
        self._key = b""  # twice: any rotation of it is a slice
        self._read = 0  # bytes of its payload so far
        self._kind: type[bytes] | None = None  # of the message that has begun
        self._size = 0  # of it, so far
        self._parts = bytearray()
        #: messages that were too large to be kept
        self.skipped: int = 0
        #: whether a close frame has come, whole
        self.closed: bool = False
        #: whether the bytes are no WebSocket's
        self.broken: bool = False

    @property
    def between_frames(self) -> bool:
        """Whether another frame may begin here."""
        return not (self._inside or self._head or self.broken)

    @property
    def buffered(self) -> int:
        """Bytes of a message that is not whole."""
        return len(self._parts)

    def feed(self, data: bytes) -> None:
        """Take some bytes."""
        if self._head:
            data, self._head = self._head + data, b""
        position, end = 0, len(data)
        while position < end and not self.broken:
            if not self._inside:
                start = self._begin(data, position)
                if start is None:
                    self._head = data[position:]
                    return
                position = start
            stop = min(end, position + self._left)
            if self._kept and stop > position:
                self._parts += self._unmasked(data[position:stop])
            self._read += stop - position
            self._left -= stop - position
            position = stop
            if not self._left:
                self._inside = False
                self._finish()

    @property
    def _kept(self) -> bool:
        is_data = not self._first & 8
        return is_data and self._take is not None and self._size <= self._max_size

    def _unmasked(self, part: bytes) -> bytes:
        if not self._masked:
            return part
        turn = self._read & 3
        return apply_mask(part, self._key[turn : turn + 4])

    def _begin(self, data: bytes, position: int) -> int | None:
        """Read a header; where the payload begins, None if it is not all here."""
        here = len(data) - position
        if here < 2:
            return None
        first, second = data[position], data[position + 1]
        size, start = second & _SIZE, position + 2
        wide = 2 if size == 126 else 8 if size == 127 else 0
        mask = 4 if self._masked else 0
        if here < 2 + wide + mask:
            return None
        if wide:
            size = int.from_bytes(data[start : start + wide])
        start += wide
        self._key = data[start : start + mask] * 2
        opcode = first & _OPCODE
        control = bool(opcode & 8)
        fits = (
            opcode in _OPCODES
            and not first & _RESERVED
            and bool(second & _MASK) is self._masked
            and (not control or (first & _FIN and size <= _CONTROL))
            and (control or (opcode == _CONTINUATION) is (self._kind is not None))
        )
        if not fits:
            self._break()
            return start
        self._inside, self._left, self._first, self._read = True, size, first, 0
        if not control:
            if opcode != _CONTINUATION:
                self._kind, self._size = Text if opcode == _TEXT else bytes, 0
            self._size += size
            if self._size > self._max_size:
                self._parts = bytearray()
        return start + mask

    def _finish(self) -> None:
        """A frame is whole."""
        if self._first & 8:
            self.closed = self.closed or self._first & _OPCODE == _CLOSE
            return
        if not self._first & _FIN:
            return
        kind, self._kind = self._kind, None
        parts, self._parts = self._parts, bytearray()
        if self._size > self._max_size:
            self.skipped += 1
        elif self._take is not None and kind is not None:
            self._take(kind(parts))

    def _break(self) -> None:
        self.broken = True
        self._inside, self._left, self._parts = False, 0, bytearray()
