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
    """Sync, and owns no socket. `feed` it, and then `go_on` while it says that there is more.

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
        self._data = b""  # what is being split
        self._position = 0  # in it: what is before it is done with
        self._tail = b""  # the beginning of a frame
        self._large: bytearray | None = None  # the beginning of a large message
        self._large_size = 0
        self._owed = 0  # bytes of a frame that ``other`` has the beginning of
        self._fragmented = False  # between the first and the last frame of a message
        self._over = False

    def feed(self, view: memoryview, most: int) -> bool:
        """Split some bytes, up to ``most`` frames; whether there is more, for `go_on`."""
        if self._over:
            return False
        if self._large is not None:
            view = self._fill(self._large, view)
        if self._owed:
            view = self._pass(view)
        if not view:
            return False
        self._data = self._tail + view if self._tail else bytes(view)
        self._position = 0
        return self.go_on(most)

    def go_on(self, most: int) -> bool:
        """Split up to ``most`` more frames of what was fed; whether there is still more."""
        if self._split(self._data, most):
            return True
        self._tail = self._data[self._position :]
        self._data = b""
        return False

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

    def _split(self, data: bytes, most: int) -> bool:
        """Split up to ``most`` whole frames; whether there may be another."""
        whole, max_size, fragmented = self._whole, self._max_size, self._fragmented
        plain = -1 if fragmented else _BINARY
        position, end = self._position, len(data)
        last = end - 1
        for _ in range(most):
            if position >= last:
                break
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
                if first == plain:
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
                position = end
                break
            if not first & _CONTROL:
                self._fragmented = fragmented = not first & _FIN
                plain = -1 if fragmented else _BINARY
            self._owed = max(0, stop - end)
            position = min(stop, end)
        else:
            self._position = position
            return position < end
        self._position = position
        return False


def is_text(payload: bytes) -> bool:
    """Whether it is UTF-8; what is not is the library's to complain about."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
