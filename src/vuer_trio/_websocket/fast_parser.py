"""Takes whole messages out of a byte stream; leaves everything else to a protocol library.

Nearly every frame of a Vuer server or client is one unfragmented binary frame, and nearly every one
of a relay such a text frame. Those are cut out here, up to fifteen times faster than the library
does it. Every other frame (large texts, fragments, control frames, reserved bits, faults) goes to
the library whole and unchanged, so it sees a stream of its own that differs from the real one only
by frames that it would have passed on as they are. One thing no library does in time, and one not
at all: a text that is not UTF-8 is refused here, in whatever pieces it comes, as soon as no text
can begin so.
``tests/unit/test_fast_parser.py`` holds this against the library alone, and
``tests/unit/test_server_fast_parser.py`` with masked frames.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from .frames import TEXT, apply_mask
from .large_message import KeptBuffers, LargeMessage, kept_buffers
from .text_check import TextCheck
from .transport import LARGE, Message, Text

__all__ = ["FastParser"]

_BINARY = 0x82  # FIN, no reserved bits, opcode 2
_FIN = 0x80
_CONTROL = 0x08
_DATA = 0x7F  # without FIN: 0 and 1 may be text
_NEVER = -1  # what no frame begins with
_FAULT = 128
#: seconds without a message whose memory is kept, after which all is let go with what comes next
_IDLE = 10.0
#: by the second byte: the size, 126 and 127 for a longer one, or that it must (not) be masked
_SIZES = (*range(128), *(_FAULT for _ in range(128)))
_MASKED_SIZES = (*_SIZES[128:], *_SIZES[:128])


class FastParser:
    """Sync, and owns no socket. `feed` it, and then `go_on` while it says that there is more.

    ``whole`` takes the payload of a message, unmasked (``bytes``, or a ``bytearray`` or a
    ``memoryview`` when it is large, and a `Text`). ``other`` takes the bytes of other frames, or a
    part of one, as they arrived, and says whether the stream goes on; when it does not, nothing
    more is read. Nor after ``bad_text``, which is called instead once a text message is not UTF-8.
    ``masked``: the frames are a client's (RFC 6455 §5.3).

    `hold`, called in ``other``, has it stop before the next message of its own: what ``other`` has
    got comes first.
    """

    def __init__(
        self,
        max_size: int,
        whole: Callable[[Message], None],
        other: Callable[[bytes], bool],
        bad_text: Callable[[], None],
        *,
        masked: bool = False,
    ) -> None:
        self._masked = masked
        self._head = 6 if masked else 2  # bytes of the smallest header
        self._sizes = _MASKED_SIZES if masked else _SIZES
        # What a message in one frame begins with. Of the two, one is never met, so that neither
        # role pays for the other on the way of most frames.
        self._plain = _NEVER if masked else _BINARY
        self._masked_plain = _BINARY if masked else _NEVER
        self._key = b""  # of the frame that has begun, twice: any rotation of it is a slice
        self._max_size = max_size
        self._whole = whole
        self._other = other
        self._bad_text = bad_text
        self._data = b""  # what is being split
        self._position = 0  # in it: what is before it is done with
        self._tail = b""  # the beginning of a frame
        self._large: LargeMessage | None = None  # one that has begun
        self._kept: KeptBuffers | None = None  # if there was one, not long ago:
        self._large_at = 0.0
        self._owed = 0  # bytes of a frame that ``other`` has the beginning of
        self._fragmented = False  # between the first and the last frame of a message
        self._over = False
        self._held = False
        self._check = TextCheck()
        self._checked = False  # what of a frame is in the tail has been
        self._checking = False  # ``other`` has the beginning of a text frame

    @property
    def buffered(self) -> int:
        """Bytes that a message which is not whole holds."""
        return 0 if self._large is None else self._large.held

    def room(self) -> memoryview | None:
        """Where the next bytes belong, if nothing is to be done with them but to `feed` them."""
        return None if self._large is None else self._large.room()

    @property
    def more(self) -> bool:
        """Whether bytes that were fed are still to be split."""
        return bool(self._data)

    def feed(self, view: memoryview, most: int) -> bool:
        """Split some bytes, up to ``most`` frames; whether there is more, for `go_on`."""
        if self._over:
            return False
        if self._large is not None:
            view = self._fill(self._large, view)
        elif self._kept is not None and monotonic() - self._large_at > _IDLE:
            self._kept = None
        self._held = False
        if self._owed:
            view = self._pass(view)
        if not view:
            return False
        self._data = self._tail + view if self._tail else bytes(view)
        self._position = 0
        return self._go_on(most)

    def go_on(self, most: int) -> bool:
        """Split up to ``most`` more frames of what was fed; whether there is still more."""
        self._held = False
        return self._go_on(most)

    def _go_on(self, most: int) -> bool:
        if self._split(self._data, most):
            return True
        self._tail = self._data[self._position :]
        self._data = b""
        return False

    def close(self) -> None:
        """Split nothing more, and let go of the callbacks."""
        self._over = True
        self._kept = None
        self._whole = self._bad_text = _nothing
        self._other = _refuse

    def hold(self) -> None:
        """No message is cut out until the next `go_on`, or `feed` if nothing is left to split."""
        self._held = True

    def _fill(self, large: LargeMessage, view: memoryview) -> memoryview:
        """Add to a large message; what is left of the bytes."""
        part = view[: large.missing]
        large.add(self._unmask(part, large.arrived))
        if not large.missing:
            self._large = None
            if large.is_kept:
                self._large_at = monotonic()
            self._whole(large.whole())
        return view[len(part) :]

    def _unmask(self, part: bytes | memoryview, at: int) -> bytes | memoryview:
        """A part of the payload that has begun; ``at`` is how much of that came before."""
        if not self._masked:
            return part
        turn = at & 3
        return apply_mask(part, self._key[turn : turn + 4])

    def _pass(self, view: memoryview) -> memoryview:
        """Pass on the rest of a frame that is not ours."""
        part = view[: self._owed]
        self._owed -= len(part)
        if self._checking and not self._can_be_text(
            self._unmask(part, self._check.seen), not self._owed
        ):
            return view[:0]
        self._over = not self._other(bytes(part))
        return view[:0] if self._over else view[len(part) :]

    def _split(self, data: bytes, most: int) -> bool:
        """Split up to ``most`` whole frames; whether there may be another."""
        whole, max_size, fragmented = self._whole, self._max_size, self._fragmented
        plain, masked_plain = self._plain, self._masked_plain
        if fragmented or self._held:
            plain = masked_plain = _NEVER
        sizes, head, masked = self._sizes, self._head, self._masked
        position, end, more = self._position, len(data), False
        last = end - 1
        for _ in range(most):
            if position >= last:
                break
            first = data[position]
            size = sizes[data[position + 1]]
            start = position + head
            if size > 125:
                if size == 126:
                    start += 2
                    size = data[position + 2] << 8 | data[position + 3] if start <= end else -1
                elif size == 127:
                    start += 8
                    size = (
                        int.from_bytes(data[position + 2 : position + 10]) if start <= end else -1
                    )
                else:  # a client's frames must be masked, a server's must not (RFC 6455 §5.1)
                    start, size = position + 2, max_size + 1
                if size < 0:
                    break  # the header is not all here
            stop = start + size
            if stop <= end and size <= max_size:
                if first == plain:
                    whole(data[start:stop])
                    position = stop
                    continue
                if first == masked_plain:
                    whole(apply_mask(data[start:stop], data[start - 4 : start]))
                    position = stop
                    continue
                if first == TEXT and not (fragmented or self._held):
                    payload = data[start:stop]
                    if masked:
                        payload = apply_mask(payload, data[start - 4 : start])
                    text = Text(payload)
                    if is_text(text):
                        whole(text)
                        position = stop
                        continue
            elif start > end:
                break  # the masking key is not all here
            elif size <= max_size:
                if first in (plain, masked_plain):
                    if size >= LARGE:
                        self._begin(data, start)
                        if self._kept is None:
                            self._kept = kept_buffers()
                        self._large = LargeMessage(size, self._kept)
                        self._large.add(self._unmask(data[start:], 0))
                        position = end
                    break
                if size < LARGE:  # a small frame is passed on whole
                    is_ascii = False
                    if first == TEXT and not self._checked:
                        self._begin(data, start)
                        is_ascii = bytes(self._unmask(data[start:], 0)).isascii()
                    if first & _DATA < 2 and not is_ascii:
                        self._checked = self._check_part(data, position, first, start, stop)
                        self._position = position if self._checked else end
                        return False
                    break
            if self._held and not fragmented and first in (_BINARY, TEXT):
                more = True
                break
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
                plain, masked_plain = self._plain, self._masked_plain
            if fragmented or self._held:
                plain = masked_plain = _NEVER
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
        self._begin(data, start)
        part = data[start + check.seen : stop]  # what has not been checked
        return self._can_be_text(self._unmask(part, check.seen), stop <= end)

    def _begin(self, data: bytes, start: int) -> None:
        """Keep the masking key of a payload that begins there."""
        key = data[start - 4 : start]
        self._key = key + key

    def _can_be_text(self, part: bytes | memoryview, done: bool) -> bool:
        if not self._check.feed(part, done):
            self._over = True
            self._bad_text()
        return not self._over


def _nothing(*args: object) -> None:
    """In the place of a callback, at the end."""


def _refuse(data: bytes) -> bool:
    return False


def is_text(payload: bytes) -> bool:
    """Whether it is UTF-8."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
