"""Cuts a stream that a protocol library is to have whole, so that it has a few frames at a time."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["FrameSlicer"]


class FrameSlicer:
    """Sync, and owns no socket. `feed` it, and then `go_on` while it says that there is more.

    ``take`` gets all bytes, in order and unchanged. It looks at lengths only, of either role's
    frames (RFC 6455 §5.2): what is wrong with a frame is the library's to find.
    """

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take
        self._data = b""  # what is being cut; it may begin with a header that was passed on
        self._position = 0  # in it: the next header
        self._passed = 0  # in it: what is before it has been passed on
        self._owed = 0  # bytes of the payload that has begun
        self._head = b""  # the beginning of a header, which has been passed on

    buffered = 0  # all is passed on

    def room(self) -> None:
        """All that is read is passed on."""

    @property
    def more(self) -> bool:
        """Whether bytes that were fed are still to be passed on."""
        return bool(self._data)

    def feed(self, view: memoryview, most: int) -> bool:
        """Pass on some bytes, up to ``most`` frames; whether there is more, for `go_on`."""
        self._data = self._head + view
        self._passed = len(self._head)
        self._position = self._owed
        self._head = b""
        return self.go_on(most)

    def go_on(self, most: int) -> bool:
        """Pass on up to ``most`` more frames of what was fed; whether there is still more."""
        data, position, start = self._data, self._position, self._passed
        end = len(data)
        for _ in range(most):
            if position >= end:
                break
            size = data[position + 1] & 0x7F if end - position > 1 else 0
            extended = 2 if size == 126 else 8 if size == 127 else 0
            body = position + 2 + extended
            if body > end:
                self._head = data[position:]
                position = end
                break
            if extended:
                size = int.from_bytes(data[position + 2 : body])
            position = body + size + (4 if data[position + 1] & 0x80 else 0)
        more = position < end
        self._owed = max(0, position - end)
        self._position = position
        self._passed = stop = position if more else end
        if not more:
            self._data = b""
        if stop > start:
            self._take(data[start:stop])
        return more
