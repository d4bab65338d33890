"""Of many inputs, few that take the same ways."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import vuer_trio

__all__ = ["smallest", "ways"]

_OURS = vuer_trio.__file__.removesuffix("__init__.py")

#: a file, a line and the one before it, and about how often
Way = tuple[str, int, int, int]


def smallest(inputs: Iterable[bytes], run: Callable[[bytes], object]) -> list[bytes]:
    """Each adds a way to those that are smaller."""
    known: set[Way] = set()
    chosen = []
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        found = ways(data, run)
        if not found <= known:
            known |= found
            chosen.append(data)
    return chosen


def ways(data: bytes, run: Callable[[bytes], object]) -> set[Way]:
    """From which line to which the library went."""
    count: Counter[tuple[str, int, int]] = Counter()

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(_OURS):
            return None
        last = 0

        def step(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last
            if event == "line":
                count[name, last, frame.f_lineno] += 1
                last = frame.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        run(data)
    finally:
        sys.settrace(before)
    return {(*step, min(times.bit_length(), 4)) for step, times in count.items()}
