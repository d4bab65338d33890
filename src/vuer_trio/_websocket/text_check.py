"""Whether what comes as text can be UTF-8 (RFC 6455 §8.1), as far as it has come."""

from __future__ import annotations

from codecs import utf_8_decode

__all__ = ["NOT_UTF8", "TextCheck"]

#: the reason of a close frame with code 1007
NOT_UTF8 = "a text message is not UTF-8"

_FIN = 0x80
#: without FIN, so that reserved bits make it another one: such a frame is a fault of its own
_OPCODE = 0x7F
_CONTINUATION, _TEXT, _BINARY = 0, 1, 2


class TextCheck:
    """Follows a text message through its frames and their parts. Sync.

    A byte that no text can go on with is known when it comes, and not when the message is whole.
    """

    __slots__ = ("_last", "_pending", "follows", "seen")

    def __init__(self) -> None:
        self._pending: bytes | None = None  # of a character; None: the message is binary
        self._last = False  # the frame is, of its message
        self.follows = False  # the frame is text, and its payload is to be fed
        self.seen = 0  # bytes of its payload so far

    def begin(self, first: int, fragmented: bool) -> None:
        """A frame other than a control frame, by its first byte. ``fragmented``: in a message."""
        opcode = first & _OPCODE
        self.seen = 0
        self._last = bool(first & _FIN)
        self.follows = False
        if fragmented:
            self.follows = opcode == _CONTINUATION and self._pending is not None
        elif opcode == _TEXT:
            self._pending = b""
            self.follows = True
        elif opcode == _BINARY:
            self._pending = None

    def feed(self, part: bytes | bytearray | memoryview, done: bool) -> bool:
        """More of a frame that `follows`, unmasked; whether it can be text. ``done``: the frame
        ends with it."""
        self.seen += len(part)
        data = self._pending + part if self._pending else part
        try:
            _, used = utf_8_decode(data, "strict", done and self._last)
        except UnicodeDecodeError:
            return False
        self._pending = pending = bytes(data[used:])
        # Half a surrogate: the decoder sees to that only with its third byte.
        return not (pending[:1] == b"\xed" and pending[1:] >= b"\xa0")
