"""Takes whole messages out of a byte stream; leaves everything else to a protocol library.

Nearly every frame of a Vuer server is one unfragmented, unmasked binary frame, and nearly every one
of a relay such a text frame. Those are cut out here, up to fifteen times faster than the library
does it. Every other frame (large texts, fragments, control frames, reserved bits, faults) goes to
the library whole and unchanged, so it sees a stream of its own that differs from the real one only
by frames that it would have passed on as they are. One thing no library does in time, and one not
at all: a text that is not UTF-8 is refused here, in whatever pieces it comes, as soon as no text
can begin so.
``tests/unit/test_splitter.py`` holds this against the library alone.
"""

from __future__ import annotations

from collections.abc import Callable

from .text_check import TextCheck
from .transport import LARGE, Message, Text

__all__ = ["FastParser"]

TEXT = 0x81  # as below, opcode 1
_BINARY = 0x82  # FIN, no reserved bits, opcode 2
_FIN = 0x80
_CONTROL = 0x08
_DATA = 0x7F  # without FIN: 0 and 1 may be text


class FastParser:
    """Sync, and owns no socket. `feed` it, and then `go_on` while it says that there is more.

    ``whole`` takes the payload of a message (``bytes``, or a ``bytearray`` when it is large, and
    a `Text`). ``other`` takes the bytes of other frames, or a part of one, and says whether the
    stream goes on; when it does not, nothing more is read. Nor after ``bad_text``, which is called
    instead once a text message is not UTF-8.
    """

    def __init__(
        self,
        max_size: int,
        whole: Callable[[Message], None],
        other: Callable[[bytes], bool],
        bad_text: Callable[[], None],
    ) -> None:
        self._max_size = max_size
        self._whole = whole
        self._other = other
        self._bad_text = bad_text
        self._data = b""  # what is being split
        self._position = 0  # in it: what is before it is done with
        self._tail = b""  # the beginning of a frame
        self._large: bytearray | None = None  # the beginning of a large message
        self._large_size = 0
        self._owed = 0  # bytes of a frame that ``other`` has the beginning of
        self._fragmented = False  # between the first and the last frame of a message
        self._over = False
        self._check = TextCheck()
        self._checked = False  # what of a frame is in the tail has been
        self._checking = False  # ``other`` has the beginning of a text frame

    @property
    def buffered(self) -> int:
        """Bytes of a message that is not whole."""
        return 0 if self._large is None else len(self._large)

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
        if self._checking and not self._can_be_text(part, not self._owed):
            return view[:0]
        self._over = not self._other(bytes(part))
        return view[:0] if self._over else view[len(part) :]

    def _split(self, data: bytes, most: int) -> bool:
        """Split up to ``most`` whole frames; whether there may be another."""
        whole, max_size, fragmented = self._whole, self._max_size, self._fragmented
        plain = -1 if fragmented else _BINARY
        position, end, more = self._position, len(data), False
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
                if stop > end and size < LARGE:  # a small frame is passed on whole
                    is_ascii = first == TEXT and not self._checked and data[start:].isascii()
                    if first & _DATA < 2 and not is_ascii:
                        self._checked = self._check_part(data, position, first, start, stop)
                        self._position = position if self._checked else end
                        return False
                    break
                if first == TEXT and not fragmented and stop <= end:
                    text = Text(data[start:stop])
                    if is_text(text):
                        whole(text)
                        position = stop
                        continue
            self._checking = False
            checked = first & _CONTROL or size > max_size
            if not (checked or self._check_part(data, position, first, start, stop)):
                position = end
                break
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
            more = position < end
        self._checked = False
        self._position = position
        return more

    def _check_part(self, data: bytes, position: int, first: int, start: int, stop: int) -> bool:
        """Look at what is here of a frame that may be text; whether the stream goes on."""
        check, end = self._check, len(data)
        if position or not self._checked:
            check.begin(first, self._fragmented)
        self._checking = check.follows
        if not check.follows:
            return True
        return self._can_be_text(self._payload(data, start, min(stop, end)), stop <= end)

    def _payload(self, data: bytes, start: int, stop: int) -> bytes:
        """What of a payload has not been checked."""
        return data[start + self._check.seen : stop]

    def _can_be_text(self, part: bytes | memoryview, done: bool) -> bool:
        if not self._check.feed(part, done):
            self._over = True
            self._bad_text()
        return not self._over


def is_text(payload: bytes) -> bool:
    """Whether it is UTF-8."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
