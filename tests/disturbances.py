"""Tests of behaviour whose readers lag, and whose tasks run in another order.

With ``--lag`` and ``--shuffle`` all of them do. Without, a few tests of those files whose subject
is what may happen at any time: one in twelve lags, one in four is shuffled, by the sample.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest

from tests import repetitions
from tests.backends import Backend
from vuer_trio.testing import lagging
from vuer_trio.testing.asyncio_orders import ShuffledLoop
from vuer_trio.testing.trio_orders import seeded

__all__ = ["around", "backend_of"]

_SUBJECTS = ("test_cancel_everywhere.py", "test_delivery.py")
#: seconds, of the few
_LAG = 0.002


def backend_of(item: pytest.Item, backend: Backend) -> tuple[str, dict[str, Any]]:
    """What anyio takes for a backend, its tasks shuffled on asyncio if this test's are."""
    if backend.runtime == "asyncio" and _is_shuffled(item):
        loop = partial(ShuffledLoop, _seed(item), virtual_time=False)
        return "asyncio", {"loop_factory": loop}
    return backend.anyio


@contextmanager
def around(item: pytest.Item) -> Iterator[None]:
    """While a test runs."""
    with ExitStack() as stack:
        if most := _lag(item):
            stack.enter_context(lagging(most, seed=_seed(item)))
        if _is_shuffled(item):
            stack.enter_context(seeded(_seed(item)))
        yield


def _lag(item: pytest.Item) -> float:
    """Seconds."""
    if item.get_closest_marker("on_time"):
        return 0
    given: float | None = item.config.getoption("lag")
    if given is not None:
        return given / 1000 if _is_behaviour(item) else 0
    return _LAG if _is_subject(item) and _chance(item, "lag") < 1 / 12 else 0


def _is_shuffled(item: pytest.Item) -> bool:
    if item.config.getoption("shuffle"):
        return _is_behaviour(item)
    return _is_subject(item) and _chance(item, "order") < 1 / 4


def _is_behaviour(item: pytest.Item) -> bool:
    return item.path.parent.name == "behaviour"


def _is_subject(item: pytest.Item) -> bool:
    return _is_behaviour(item) and item.path.name in _SUBJECTS


def _chance(item: pytest.Item, what: str) -> float:
    return random.Random(f"{repetitions.sample()} {what} {item.nodeid}").random()


def _seed(item: pytest.Item) -> int:
    return random.Random(f"{repetitions.sample()} {item.nodeid}").getrandbits(32)
