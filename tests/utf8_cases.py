"""Texts, and the first byte with which each can be text no more (RFC 3629; Unicode, table 3-7).

What may follow a first byte, from that table:

    00..7F                              nothing
    C2..DF   80..BF
    E0       A0..BF  80..BF             less would be overlong
    E1..EC   80..BF  80..BF
    ED       80..9F  80..BF             more would be a surrogate
    EE..EF   80..BF  80..BF
    F0       90..BF  80..BF  80..BF     less would be overlong
    F1..F3   80..BF  80..BF  80..BF
    F4       80..8F  80..BF  80..BF     more would be beyond U+10FFFF
    other                               is no first byte
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["BAD", "GOOD", "SOME_BAD", "UNFINISHED"]

_TWO, _THREE, _FOUR = range(0xC2, 0xE0), range(0xE0, 0xF0), range(0xF0, 0xF5)
#: the least and the greatest second byte, where it is not 80..BF
_SECOND = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}


def _good() -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "ASCII", b"plain words"
    yield "four alphabets", "Grüße, κόσμε, 世界, 🤖!".encode()
    for point in (0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF):
        yield f"at a boundary: U+{point:04X}", chr(point).encode()
    planes = [plane << 16 for plane in range(17)]
    ends = "".join(chr(plane | end) for plane in planes for end in (0xFFFE, 0xFFFF))
    yield "noncharacters, at the end of each plane", ends.encode()
    yield "noncharacters, U+FDD0 to U+FDEF", "".join(map(chr, range(0xFDD0, 0xFDF0))).encode()
    yield "the replacement character", "\ufffd".encode()
    yield "a byte order mark, in the middle too", "\ufeffa\ufeffb".encode()
    least, greatest = b"", b""
    for first in (*_TWO, *_THREE, *_FOUR):
        low, high = _SECOND.get(first, (0x80, 0xBF))
        rest = 0 if first in _TWO else 1 if first in _THREE else 2
        least += bytes([first, low, *[0x80] * rest])
        greatest += bytes([first, high, *[0xBF] * rest])
    yield "the least character of each first byte", least
    yield "the greatest character of each first byte", greatest


def _bad() -> Iterator[tuple[str, bytes, int]]:
    yield "beyond U+10FFFF: the next one", b"\xf4\x90\x80\x80", 1
    yield "beyond U+10FFFF: among words", "κόσμε".encode() + b"\xf4\x90\x80\x80" + b"edited", 11
    for first in (0xC0, 0xC1, *range(0xF5, 0x100)):
        yield f"no first byte: {first:02x}", bytes([0x61, first, *[0x80] * 5]), 1
    yield "of five bytes: as there once were", b"\xf8\x88\x80\x80\x80", 0
    yield "of six bytes: as there once were", b"\xfc\x84\x80\x80\x80\x80", 0
    yield "nothing to continue: all such bytes", bytes(range(0x80, 0xC0)), 0
    for byte in (0x80, 0xBF):
        yield f"nothing to continue: {byte:02x}", bytes([byte]), 0
        yield f"continued too long: {byte:02x}", "é".encode() + bytes([byte]), 2
    for first in (*_TWO, *_THREE, *_FOUR):
        low, high = _SECOND.get(first, (0x80, 0xBF))
        yield f"cut short by a space: {first:02x}", bytes([first, 0x20]), 1
        yield f"second byte too low: {first:02x}", bytes([first, low - 1, 0x80, 0x80]), 1
        yield f"second byte too high: {first:02x}", bytes([first, high + 1, 0x80, 0x80]), 1
    for text in ("ࠀ", "\uffff", "𐀀", "\U0010ffff"):
        whole = text.encode()
        for size in range(2, len(whole)):
            yield f"cut short by a letter: {whole[:size].hex(' ')}", whole[:size] + b"a", size
    for text in (b"\xc0\xaf", b"\xc0\x80", b"\xc1\xbf"):
        yield f"overlong, two bytes: {text.hex(' ')}", text, 0
    for text in (b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf"):
        yield f"overlong: {text.hex(' ')}", text, 1
    for point in (0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80, 0xDFFF):
        yield f"surrogate: U+{point:X}", chr(point).encode("utf-8", "surrogatepass"), 1
    yield "surrogate: a pair", "\ud83e\udd16".encode("utf-8", "surrogatepass"), 1


def _unfinished() -> Iterator[tuple[str, bytes]]:
    for text in ("é", "ࠀ", "€", "𐀀", "🤖"):
        whole = text.encode()
        for size in range(1, len(whole)):
            yield f"{whole[:size].hex(' ')} at the end", b"so far " + whole[:size]


#: name, text
GOOD = list(_good())
#: "kind: example", text, index of the byte at which it is to be refused
BAD = list(_bad())
#: the first and the last of each kind
SOME_BAD = [
    case
    for kind in dict.fromkeys(name.partition(":")[0] for name, _, _ in BAD)
    for cases in [[case for case in BAD if case[0].startswith(f"{kind}:")]]
    for case in ([cases[0], cases[-1]] if len(cases) > 1 else cases)
]
#: name, text that goes on: good, unless it ends there
UNFINISHED = list(_unfinished())
