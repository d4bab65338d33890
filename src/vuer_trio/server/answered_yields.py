"""Whether a generator looks at what its ``yield`` gives: ``event = yield ...``, or a bare one."""

from __future__ import annotations

import dis
from functools import lru_cache
from inspect import isgenerator
from types import CodeType
from typing import Any

__all__ = ["asks", "looks_at_answer"]

#: what may stand between a yield and what is done with its value
_BETWEEN = ("RESUME", "CACHE", "NOP", "NOT_TAKEN")


def asks(generator: Any) -> bool:
    """Whether a generator may do so anywhere. One that is not async may leave it to another."""
    code = getattr(generator, "ag_code", None)
    return isgenerator(generator) or (code is not None and bool(_answered(code)))


def looks_at_answer(generator: Any) -> bool:
    """Whether a generator, at the yield where it is suspended, does anything with its value.

    False for what is no generator, and one that another loop has wrapped.
    """
    inner = getattr(generator, "gi_yieldfrom", None)
    while inner is not None:
        generator, inner = inner, getattr(inner, "gi_yieldfrom", None)
    frame = getattr(generator, "ag_frame", None) or getattr(generator, "gi_frame", None)
    return frame is not None and frame.f_lasti in _answered(frame.f_code)


@lru_cache(maxsize=256)
def _answered(code: CodeType) -> frozenset[int]:
    """The places in the code of a generator of the yields whose value is not thrown away.

    A generator that is suspended is at the yield up to Python 3.12, then at what resumes it.
    """
    found: set[int] = set()
    at: list[int] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname == "YIELD_VALUE":
            at = [instruction.offset]
        elif at and instruction.opname in _BETWEEN:
            at.append(instruction.offset)
        elif at:
            # After a yield that is part of an await, or of a `yield from`, it jumps back.
            if instruction.opname != "POP_TOP" and not instruction.opname.startswith("JUMP_"):
                found.update(at)
            at = []
    return frozenset(found)
