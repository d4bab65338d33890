"""How many values a msgpack message holds, told before anything of it is built.

A value may take a single byte of a message, and takes about 100 bytes of memory and up to 500 ns
when it is decoded. So the number of values is bounded, as the bytes are. msgpack's own limits are
of single containers, which multiply when they are nested.
"""

from __future__ import annotations

__all__ = ["FREE", "count_values"]

#: bytes of a message that need not be looked at: what it can hold, or claim to, costs little
FREE = 1 << 15
#: the values that an extension counts for: it becomes an object of Python's
_EXTENSION = 16
#: values of one list that are looked at together, if they are alike
_RUN = 16

#: bytes behind the first one, for the types that hold no others: numbers, short strings
_BODY = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_BODY |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_BODY |= dict.fromkeys((*range(128), *range(224, 256)), 0)
_BODY |= {0xA0 + size: size for size in range(32)}
#: of the small ones of lists and maps: the values that they hold
_SMALL = {0x90 + size: size for size in range(16)} | {0x80 + size: 2 * size for size in range(16)}
#: the bytes of a value without what it holds, 0 where they follow from more than the first byte
_STEP = tuple(1 + _BODY[kind] if kind in _BODY else int(kind in _SMALL) for kind in range(256))
_HOLDS = tuple(_SMALL.get(kind, 0) for kind in range(256))
#: of the others: the bytes that tell the size, or the number of values
_WIDTH = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_WIDTH |= {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
#: extensions of a fixed size: their type and their bytes
_EXT = {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}


def count_values(data: bytes | bytearray | memoryview, most: int) -> int:
    """The values in a message: keys, lists and maps count, too, an extension as sixteen.

    It stops when there are more than ``most``. What a list or a map claims to hold counts, whether
    it is there or not. What is cut off, or no msgpack, is counted as far as it goes.
    """
    steps, holds = _STEP, _HOLDS
    known = 1  # those that were looked at, and those that the containers so far hold
    seen = at = 0
    try:
        while seen < known <= most:
            kind = data[at]
            seen += 1
            step = steps[kind]
            if step:
                at += step
                known += holds[kind]
                continue
            at += 1
            if kind == 0xD9 or kind == 0xC4:  # of up to 255 bytes: the usual ones, found fast
                at += 1 + data[at]
                continue
            width = _WIDTH.get(kind, 0)
            size = int.from_bytes(data[at : at + width])
            at += width
            if kind >= 0xDE:
                known += 2 * size
            elif kind >= 0xDC:
                known += size
                if size >= _RUN and known <= most:
                    held, at = _alike(data, at, size)
                    seen += held
                    known += max(0, held - size)
            elif kind in (0xC5, 0xC6, 0xDA, 0xDB):
                at += size
            else:
                known += _EXTENSION - 1
                seen += _EXTENSION - 1
                at += _EXT.get(kind, size + 1)
    except IndexError:  # it is cut off
        pass
    return known


def _alike(data: bytes | bytearray | memoryview, at: int, size: int) -> tuple[int, int]:
    """Step over ``size`` values at once, if they are alike: how many were found, and their end.

    Lists of numbers are, as a rule, and lists of short lists of numbers. None are found where the
    types differ: then each is to be looked at.
    """
    first = data[at]
    shape = [(0, first)]
    end = at + _STEP[first]
    if 0x90 <= first < 0xA0:
        for _ in range(first & 15):
            shape.append((end - at, data[end]))
            end += _STEP[data[end]]
    elif first not in _BODY:
        return 0, at
    width = end - at
    stop = at + size * width
    values = bytes(data[at:stop])  # a memoryview has no `count`
    for offset, kind in shape:
        if (offset and kind not in _BODY) or values[offset::width].count(kind) != size:
            return 0, at
    return size * len(shape), stop
