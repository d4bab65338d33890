"""How often a proof is repeated: usually a part of the times, and with ``--thorough`` all of them.

``--full``, which is between them, has the usual repetitions, and every backend.

CONTRIBUTING.md says which kinds of test are repeated how often, and on which backends.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from tests.backends import BACKENDS, USUAL, Backend
from vuer_trio.testing import cancelling

__all__ = [
    "backends",
    "cancel_everywhere",
    "choose",
    "full",
    "of_this_backend",
    "part",
    "sample",
    "shared_out",
    "thorough",
    "times",
]

T = TypeVar("T")

_full = False
_thorough = False
_sample = 0


def choose(*, full: bool, thorough: bool, sample: int) -> None:
    """Before the tests are collected: everything, or that sample of it."""
    global _full, _thorough, _sample
    _full, _thorough, _sample = full, thorough, sample


def full() -> bool:
    return _full or _thorough


def thorough() -> bool:
    return _thorough


def backends() -> list[Backend]:
    """Those that this run is on."""
    return BACKENDS if full() else USUAL


def sample() -> int:
    return _sample


def times(usual: int, all_of_them: int) -> int:
    """How many repetitions."""
    return all_of_them if _thorough else usual


def part(cases: Iterable[Any], count: int) -> list[Any]:
    """For `pytest.mark.parametrize`: ``count`` of the cases usually, by chance."""
    every = list(cases)
    chosen = random.Random(_sample).sample(range(len(every)), min(count, len(every)))
    return [
        case
        if place in chosen
        else pytest.param(
            *(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.thorough
        )
        for place, case in enumerate(every)
    ]


def of_this_backend(cases: Sequence[T], backend: Backend) -> Sequence[T]:
    """Its part of many cases that one test goes through: all backends have all of them."""
    there = backends()
    if _thorough or backend not in there:  # that test was asked for by its name
        return cases
    return cases[(there.index(backend) + _sample) % len(there) :: len(there)]


def shared_out(items: Sequence[pytest.Function]) -> list[pytest.Function]:
    """Of one test: all backends, and each of its cases on one with Trio and one with asyncio.

    A test without cases has one, which runs on every backend, or with the mark `slow` on one with
    Trio and one with asyncio.
    """
    places = []
    for item in items:
        others = {name: at for name, at in item.callspec.indices.items() if name != "backend"}
        backend = item.callspec.params["backend"]
        assert isinstance(backend, Backend)
        places.append((tuple(sorted(others.items())), backend))
    cases = list(dict.fromkeys(case for case, _ in places))
    backends = list(dict.fromkeys(backend for _, backend in places))
    chance = random.Random(f"{_sample} {items[0].nodeid.partition('[')[0]}")
    chance.shuffle(cases)
    of_trio = [backend for backend in backends if backend.runtime == "trio"]
    of_asyncio = [backend for backend in backends if backend.runtime != "trio"]
    if items[0].get_closest_marker("slow"):
        of_trio, of_asyncio = [[chance.choice(some)] for some in (of_trio, of_asyncio) if some]
    chosen = set()
    for n in range(max(len(cases), len(of_trio), len(of_asyncio))):
        for some in filter(None, (of_trio, of_asyncio)):
            chosen.add((cases[n % len(cases)], some[n % len(some)]))
    return [item for item, place in zip(items, places, strict=True) if place in chosen]


async def cancel_everywhere(
    scenario: Callable[..., Awaitable[object]], *, every: int = 7, **options: Any
) -> int:
    """`vuer_trio.testing.cancel_everywhere`; usually at each ``every``th place.

    At which ones differs from one test to the next, and so from one backend to the next, and from
    one sample to the next. It returns at least the number of places.
    """
    if _thorough:
        return await cancelling.cancel_everywhere(scenario, **options)
    chance = random.Random(f"{_sample} {os.environ.get('PYTEST_CURRENT_TEST')}")
    places = itertools.count(chance.randint(1, every), every)
    with pytest.MonkeyPatch.context() as patch:
        # where it counts them
        patch.setattr(cancelling, "itertools", SimpleNamespace(count=lambda start: places))
        return await cancelling.cancel_everywhere(scenario, **options)
