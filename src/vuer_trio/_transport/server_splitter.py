"""Takes whole messages out of what a client sends: masked frames (RFC 6455 §5.3)."""

from __future__ import annotations

from .base import LARGE, Text
from .framing import apply_mask
from .splitter import TEXT, Splitter, is_text

__all__ = ["ServerSplitter"]

_BINARY = 0x82  # FIN, no reserved bits, opcode 2
_FIN = 0x80
_CONTROL = 0x08
_MASKED = 0x80


class ServerSplitter(Splitter):
    """See `Splitter`. ``whole`` takes unmasked payloads, ``other`` frames as they arrived."""

    _key = b""  # of the large message, twice: any rotation of it is a slice

    def _fill(self, large: bytearray, view: memoryview) -> memoryview:
        part = view[: self._large_size - len(large)]
        turn = len(large) & 3
        super()._fill(large, memoryview(apply_mask(part, self._key[turn : turn + 4])))
        return view[len(part) :]

    def _split(self, data: bytes, most: int) -> bool:
        whole, max_size, fragmented = self._whole, self._max_size, self._fragmented
        plain = -1 if fragmented else _BINARY
        position, end = self._position, len(data)
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
                if stop > end and size < LARGE:
                    break  # a small frame is passed on whole
                if first == TEXT and not fragmented and stop <= end:
                    text = Text(apply_mask(data[start:stop], data[start - 4 : start]))
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
