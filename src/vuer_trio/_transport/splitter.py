"""Takes whole messages out of a byte stream; leaves everything else to a protocol library.

Nearly every frame of a Vuer server is one unfragmented, unmasked binary frame, and nearly every one
of a relay such a text frame. Those are cut out here, up to fifteen times faster than the library
does it. Every other frame (large texts, fragments, control frames, reserved bits, faults) goes to
the library whole and unchanged, so it sees a stream of its own that differs from the real one only
by frames that it would have passed on as they are.
``tests/unit/test_splitter.py`` holds this against the library alone.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import LARGE, Message, Text

__all__ = ["Splitter"]

TEXT = 0x81  # as below, opcode 1
_BINARY = 0x82  # FIN, no reserved bits, opcode 2
_FIN = 0x80
_CONTROL = 0x08


class Splitter:
    """Sync, and owns no socket.

    ``whole`` takes the payload of a message (``bytes``, or a ``bytearray`` when it is large, and
    a `Text`). ``other`` takes the bytes of other frames, or a part of one, and says whether the
    stream goes on; when it does not, nothing more is read.
    """

    def __init__(
        self, max_size: int, whole: Callable[[Message], None], other: Callable[[bytes], bool]
    ) -> None:
        self._max_size = max_size
        self._whole = whole
        self._other = other
        self._tail = b""  # the beginning of a frame
        self._large: bytearray | None = None  # the beginning of a large message
        self._large_size = 0
        self._owed = 0  # bytes of a frame that ``other`` has the beginning of
        self._fragmented = False  # between the first and the last frame of a message
        self._over = False

    @property
    def buffered(self) -> int:
        """Bytes of a message that is not whole."""
        return 0 if self._large is None else len(self._large)

    def feed(self, view: memoryview) -> None:
        """Split some bytes."""
        if self._over:
            return
        if self._large is not None:
            view = self._fill(self._large, view)
        if self._owed:
            view = self._pass(view)
        if not view:
            return
        data = self._tail + view if self._tail else bytes(view)
        self._tail = data[self._split(data) :]

    def _fill(self, large: bytearray, view: memoryview) -> memoryview:
        """Add to a large message; what is left of the bytes."""
        missing = self._large_size - len(large)
        large += view[:missing]
        if len(large) == self._large_size:
            self._large = None
            self._whole(large)
        return view[missing:]

    def _pass(self, view: memoryview) -> memoryview:
        """Pass on the rest of a frame that is not ours."""
        part = view[: self._owed]
        self._owed -= len(part)
        self._over = not self._other(bytes(part))
        return view[:0] if self._over else view[len(part) :]

    def _split(self, data: bytes) -> int:
        """Split all whole frames; how many bytes are done with."""
        whole, max_size, fragmented = self._whole, self._max_size, self._fragmented
        position, end = 0, len(data)
        while end - position >= 2:
            first = data[position]
            size = data[position + 1]
            start = position + 2
            if size > 125:
                if size == 126:
                    start += 2
                    size = data[position + 2] << 8 | data[position + 3] if start <= end else -1
                elif size == 127:
                    start += 8
                    size = int.from_bytes(data[position + 2 : start]) if start <= end else -1
                else:  # masked, which a server must not do (RFC 6455 §5.1)
                    size = max_size + 1
                if size < 0:
                    break  # the header is not all here
            stop = start + size
            if size <= max_size:
                if first == _BINARY and not fragmented:
                    if stop <= end:
                        whole(data[start:stop])
                        position = stop
                        continue
                    if size >= LARGE:
                        self._large = bytearray(data[start:])
                        self._large_size = size
                        position = end
                    break
                if stop > end and size < LARGE:
                    break  # a small frame is passed on whole
                if first == TEXT and not fragmented and stop <= end:
                    text = Text(data[start:stop])
                    if is_text(text):
                        whole(text)
                        position = stop
                        continue
            if not self._other(data[position:stop]):
                self._over = True
                return end
            if not first & _CONTROL:
                self._fragmented = fragmented = not first & _FIN
            self._owed = max(0, stop - end)
            position = min(stop, end)
        return position


def is_text(payload: bytes) -> bool:
    """Whether it is UTF-8; what is not is the library's to complain about."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
