"""Trio's scheduler, with an order that a seed determines.

Trio promises no order of the tasks that may run, and has no public way to choose one. What it has
is what its plugin for Hypothesis sets: with a flag, each batch of tasks is sorted by age and then
shuffled by a generator of the module's. Both names are private; this is the only file that knows
them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import trio._core._run as scheduler

__all__ = ["seeded"]

#: what the loop of `trio.run` looks up each time
_FLAG, _GENERATOR = "_ALLOW_DETERMINISTIC_SCHEDULING", "_r"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """In the block, every batch of runnable tasks of this thread is shuffled, as ``seed`` says.

    Raises RuntimeError if this Trio has no such switch.
    """
    names: dict[str, Any] = vars(scheduler)
    flag, generator = names.get(_FLAG), names.get(_GENERATOR)
    if not (type(flag) is bool and isinstance(generator, random.Random)):
        raise RuntimeError("this version of Trio has no switch for the order of its tasks")
    names[_FLAG], names[_GENERATOR] = True, _OfThisThread(seed, generator)
    try:
        yield
    finally:
        names[_FLAG], names[_GENERATOR] = flag, generator


class _OfThisThread(random.Random):
    """A generator for one thread. Others that run Trio meanwhile take nothing from it: they would
    change what a seed stands for."""

    def __init__(self, seed: int, others: random.Random) -> None:
        super().__init__(seed)
        self._thread, self._others = get_ident(), others

    def shuffle(self, x: MutableSequence[Any]) -> None:
        if get_ident() == self._thread:
            super().shuffle(x)
        else:
            self._others.shuffle(x)
