"""Takes whole messages out of what a client sends: masked frames (RFC 6455 §5.3)."""

from __future__ import annotations

from .fast_parser import TEXT, FastParser, is_text
from .frames import apply_mask
from .transport import LARGE, Text

__all__ = ["ServerFastParser"]

_BINARY = 0x82  # FIN, no reserved bits, opcode 2
_FIN = 0x80
_CONTROL = 0x08
_DATA = 0x7F
_MASKED = 0x80


class ServerFastParser(FastParser):
    """See `FastParser`. ``whole`` takes unmasked payloads, ``other`` frames as they arrived."""

    _key = b""  # of the large message, twice: any rotation of it is a slice
    _text_key = b""  # of the text frame that is being checked, likewise

    def _fill(self, large: bytearray, view: memoryview) -> memoryview:
        part = view[: self._large_size - len(large)]
        turn = len(large) & 3
        super()._fill(large, memoryview(apply_mask(part, self._key[turn : turn + 4])))
        return view[len(part) :]

    def _split(self, data: bytes, most: int) -> bool:
        whole, max_size, fragmented = self._whole, self._max_size, self._fragmented
        plain = -1 if fragmented else _BINARY
        position, end, more = self._position, len(data), False
        last = end - 1
        for _ in range(most):
            if position >= last:
                break
            first = data[position]
            size = data[position + 1] - _MASKED
            start = position + 6
            if size == 126:
                start += 2
                size = data[position + 2] << 8 | data[position + 3] if start <= end else -1
            elif size == 127:
                start += 8
                size = int.from_bytes(data[position + 2 : position + 10]) if start <= end else -1
            elif size < 0:  # not masked, which a client must not do (RFC 6455 §5.1)
                start, size = position + 2, max_size + 1
            if size < 0 or start > end:
                break  # the header is not all here
            stop = start + size
            if size <= max_size:
                if first == plain:
                    if stop <= end:
                        whole(apply_mask(data[start:stop], data[start - 4 : start]))
                        position = stop
                        continue
                    if size >= LARGE:
                        key = data[start - 4 : start]
                        self._key = key + key
                        self._large = bytearray(apply_mask(data[start:], key))
                        self._large_size = size
                        position = end
                    break
                if stop > end and size < LARGE:  # a small frame is passed on whole
                    is_ascii = (
                        first == TEXT
                        and not self._checked
                        and apply_mask(data[start:], data[start - 4 : start]).isascii()
                    )
                    if first & _DATA < 2 and not is_ascii:
                        self._checked = self._check_part(data, position, first, start, stop)
                        self._position = position if self._checked else end
                        return False
                    break
                if first == TEXT and not fragmented and stop <= end:
                    text = Text(apply_mask(data[start:stop], data[start - 4 : start]))
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

    def _payload(self, data: bytes, start: int, stop: int) -> bytes:
        key = data[start - 4 : start]
        self._text_key = key + key
        return self._unmasked(data[start + self._check.seen : stop])

    def _can_be_text(self, part: bytes | memoryview, done: bool) -> bool:
        if isinstance(part, memoryview):  # of a large frame, as it came
            part = self._unmasked(part)
        return super()._can_be_text(part, done)

    def _unmasked(self, part: bytes | memoryview) -> bytes:
        turn = self._check.seen & 3
        return apply_mask(part, self._text_key[turn : turn + 4])
