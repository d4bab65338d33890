"""What is left out by default is left out nowhere for good."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from tests import conftest, repetitions
from tests.backends import BACKENDS, USUAL
from tests.repetitions import cancel_everywhere, of_this_backend, part, shared_out, times
from vuer_trio.testing import CancelHere


@pytest.fixture(params=range(20))
def number(request, monkeypatch):
    monkeypatch.setattr(repetitions, "_full", False)
    monkeypatch.setattr(repetitions, "_thorough", False)
    monkeypatch.setattr(repetitions, "_sample", request.param)
    return request.param


@pytest.fixture
def everything(monkeypatch):
    monkeypatch.setattr(repetitions, "_thorough", True)


def items(cases: int, *marks: str) -> list[Any]:
    return [
        SimpleNamespace(
            get_closest_marker=lambda name: name in marks or None,
            nodeid=f"tests/test_it.py::test_it[{case}-{backend.name}]",
            callspec=SimpleNamespace(
                indices={"case": case, "backend": place}, params={"backend": backend}
            ),
        )
        for case in range(cases)
        for place, backend in enumerate(BACKENDS)
    ]


@pytest.mark.parametrize("cases", [1, 2, 3, 5, 40])
def test_each_backend_runs_a_test_and_each_case_runs_on_both_libraries(number, cases):
    chosen = [
        (item.callspec.indices["case"], item.callspec.params["backend"])
        for item in shared_out(items(cases))
    ]
    assert {backend for _, backend in chosen} == set(BACKENDS)
    for case in range(cases):
        there = {backend.runtime == "trio" for which, backend in chosen if which == case}
        assert there == {True, False}
    assert len(chosen) == max(5, 2 * cases)


@pytest.mark.parametrize("cases", [1, 3])
def test_a_slow_test_runs_on_one_backend_of_each_library(number, cases):
    chosen = shared_out(items(cases, "slow"))
    assert len({item.callspec.params["backend"] for item in chosen}) == 2
    assert {item.callspec.params["backend"].runtime for item in chosen} >= {"trio"}
    assert len(chosen) == 2 * cases


@pytest.mark.parametrize("marks", [(), ("slow",)])
def test_samples_take_turns(monkeypatch, marks):
    seen, every = set(), items(7, *marks)
    for number in range(200):
        monkeypatch.setattr(repetitions, "_sample", number)
        seen |= {id(item) for item in shared_out(every)}
    assert seen == {id(item) for item in every}


def test_a_part_of_cases(number):
    cases = part([*"abcdefgh", ("i", "j")], 3)
    assert len(cases) == 9
    assert sum(not hasattr(case, "marks") for case in cases) == 3
    assert {case.marks[0].name for case in cases if hasattr(case, "marks")} == {"thorough"}


@pytest.mark.parametrize(("full", "backends"), [(False, USUAL), (True, BACKENDS)])
def test_all_backends_together_have_all_cases(number, monkeypatch, full, backends):
    monkeypatch.setattr(repetitions, "_full", full)
    parts = [of_this_backend(range(23), backend) for backend in backends]
    assert sorted(case for each in parts for case in each) == list(range(23))
    assert times(3, 9) == 3


def test_a_backend_that_was_asked_for_by_name_has_all_cases(number):
    assert of_this_backend(range(23), BACKENDS[-1]) == range(23)


def test_the_usual_backends_are_of_both_libraries_and_of_both_transports():
    assert {backend.runtime for backend in USUAL} == {"trio", "asyncio"}
    assert {backend.transport for backend in USUAL} == {"trio-websocket", "websockets"}


SOAK = Path(conftest.__file__).parent / "soak"


@pytest.mark.parametrize(
    ("args", "is_left_out"),
    [
        (["tests"], True),
        (["tests/unit", "tests/soaked"], True),
        (["tests/unit", "tests/soak"], None),
        (["tests/soak/test_memory.py::test_memory_stays_within_its_bounds[arc]"], None),
        ([str(SOAK / "test_memory.py")], None),
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_what_takes_long_is_left_out_unless_it_is_named(monkeypatch, args, is_left_out, full):
    monkeypatch.chdir(SOAK.parent.parent)
    monkeypatch.setattr(repetitions, "_thorough", False)
    monkeypatch.setattr(repetitions, "_full", full)
    config = SimpleNamespace(args=args)
    left_out = conftest.pytest_ignore_collect(SOAK, config)
    assert left_out == (None if full else is_left_out)
    assert conftest.pytest_ignore_collect(SOAK.parent / "unit", config) is None


async def scenario(here: CancelHere) -> None:
    async with here:
        for _ in range(20):
            await trio.lowlevel.checkpoint()
    if here.fired:
        visited.append(here.place)


visited: list[int] = []


@pytest.mark.trio
async def test_some_places(number):
    visited.clear()
    count = await cancel_everywhere(scenario, every=4)
    assert len(visited) >= 2
    assert {later - earlier for earlier, later in itertools.pairwise(visited)} == {4}
    assert visited[0] <= 4
    assert count >= visited[-1]


@pytest.mark.trio
async def test_every_place(everything):
    visited.clear()
    count = await cancel_everywhere(scenario, every=4)
    assert visited == list(range(1, count + 1))
    assert of_this_backend(range(23), BACKENDS[0]) == range(23)
    assert times(3, 9) == 9
