"""JSON that a peer has sent: how deep it may nest, and how many values it may hold.

Both are this side's to say. The interpreter's own depth is anything between 1,000 and 100,000,
depending on its version, and a value may cost a hundred times its two bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any

__all__ = ["DEPTH", "MOST_VALUES", "TooDeep", "TooMany", "check_json", "parse_json"]

#: lists and objects inside each other
DEPTH = 64
#: values of one text, names included, if no other bound is given
MOST_VALUES = 1 << 19

_TOO_DEEP = f"it nests more than {DEPTH} deep"

# Also what is never closed, or a second search would begin at each quote in it.
_STRINGS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = re.compile(r"[^][{}]+")
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


class TooDeep(ValueError):
    """It nests deeper than `DEPTH`."""


class TooMany(ValueError):
    """It holds too many values."""


def parse_json(
    text: str, most: int = MOST_VALUES, decode: Callable[[str], Any] = json.loads
) -> Any:
    """What ``decode`` makes of a text. Raises as `check_json`, and the ValueError of no JSON."""
    check_json(text, most)
    try:
        return decode(text)
    except RecursionError:  # the caller is near the end of its stack
        raise TooDeep(_TOO_DEEP) from None


def check_json(text: str, most: int = MOST_VALUES) -> None:
    """Look at a text before anything is made of it. Raises TooMany, TooDeep.

    What costs more than a count is done only for texts that may be at fault.
    """
    bare = None
    if len(text) > most and _count(text) > most:
        bare = _STRINGS.sub("", text)
        if _count(bare) > most:
            raise TooMany(f"it holds more than {most:,} values")
    if text.count("[") + text.count("{") > DEPTH:
        brackets = _NO_BRACKETS.sub("", _STRINGS.sub("", text) if bare is None else bare)
        if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEPTH:
            raise TooDeep(_TOO_DEEP)


def _count(text: str) -> int:
    """Values, at most: each is behind one of these, but the first."""
    return 1 + sum(map(text.count, ",:[{"))
