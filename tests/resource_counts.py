"""How many sockets, tasks and objects there are, for tests that compare before and after.

What was there before may go at any time: a test that has run in this process may have left a socket
to the collector of garbage. So "no more than before" is asked for, or nothing new, and never "as
many". `Census` does so, and names what is left.
"""

from __future__ import annotations

import gc
import itertools
from collections import Counter
from collections.abc import Sequence
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType, TracebackType

from vuer_trio.testing.leaks import Census

__all__ = ["PATIENCE", "Census", "count_only_new_objects", "growing", "object_counts"]
__all__ += ["open_sockets", "task_count"]

#: seconds in which what is about to go has gone: only a leak gets there
PATIENCE = 60.0
#: whose objects a connection is made of
_OURS = ("_asyncio", "_ssl", "anyio", "asyncio", "outcome", "socket", "ssl", "trio")
_OURS += ("trio_websocket", "uvloop", "vuer_trio", "websockets", "wsproto")
_RUNNING = (AsyncGeneratorType, CoroutineType, FrameType, GeneratorType, TracebackType)


def open_sockets() -> int:
    """Sockets of this process."""
    return len(Census.take().sockets)


def task_count() -> int:
    """Tasks of the running loop."""
    return len(Census.take().tasks)


def object_counts() -> Counter[str]:
    """How many objects there are of each type of ours and of the libraries below, and of what runs.

    Of other types, such as dicts, pytest and the standard library have as many as they like. See
    also `count_only_new_objects`.
    """
    found: Counter[str] = Counter()
    for each in gc.get_objects():
        kind = type(each)
        module = str(kind.__module__)  # some types in C have none
        if issubclass(kind, _RUNNING) or module.partition(".")[0] in _OURS:
            found[f"{module}.{kind.__qualname__}"] += 1
    return found


def count_only_new_objects() -> None:
    """From now on the collector and `object_counts` leave out what is there already: in a process
    that has run thousands of tests, each look at all of it takes a second."""
    gc.collect()
    gc.freeze()


def growing(looks: Sequence[tuple[int, Counter[str]]]) -> dict[str, list[int]]:
    """The types of which there are more at each look, by at least one for two repetitions.

    Each look is the number of repetitions until then, and the counts. What is in flight at a look
    comes and goes; what leaks grows from each look to the next.
    """
    steps = list(itertools.pairwise(looks))
    return {
        kind: [counts[kind] for _, counts in looks]
        for kind in looks[-1][1]
        if all(2 * (new[kind] - old[kind]) >= n - m for (m, old), (n, new) in steps)
    }
