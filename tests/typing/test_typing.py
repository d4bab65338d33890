"""What the types of the interface let through, and what they refuse."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def errors(request: pytest.FixtureRequest) -> dict[str, set[tuple[int, str]]]:
    """Line and kind of what mypy finds in each program, in a user's own setting: none."""
    assert request.config.cache is not None
    programs = [HERE / f"{name}_program.py" for name in ("user", "scene", "wrong")]
    limit = sys.getrecursionlimit()
    output, complaint, status = api.run(
        [
            "--strict",
            "--config-file=",
            f"--cache-dir={request.config.cache.mkdir('mypy')}",
            "--show-error-codes",
            "--hide-error-context",
            "--no-pretty",
            "--no-error-summary",
            *map(str, programs),
        ]
    )
    sys.setrecursionlimit(limit)  # mypy has raised it, for all tests to come
    assert (complaint, status) == ("", 1)  # 2 if it could not check them
    found: dict[str, set[tuple[int, str]]] = {path.name: set() for path in programs}
    for line in output.splitlines():
        if match := re.fullmatch(r"(.+?):(\d+): error: .*\[([\w-]+)\]", line):
            found[Path(match[1]).name].add((int(match[2]), match[3]))
        else:
            assert ": note: " in line
    return found


def test_a_users_program_is_well_typed(errors: dict[str, set[tuple[int, str]]]) -> None:
    assert errors["user_program.py"] == set()


def test_a_scene_of_many_elements_is_well_typed(errors: dict[str, set[tuple[int, str]]]) -> None:
    assert errors["scene_program.py"] == set()


def test_every_mistake_is_refused_where_it_is(errors: dict[str, set[tuple[int, str]]]) -> None:
    source = (HERE / "wrong_program.py").read_text("utf-8").splitlines()
    expected = {
        (number, match[1])
        for number, line in enumerate(source, 1)
        if (match := re.search(r"  # ([\w-]+)$", line))
    }
    assert len(expected) > 35
    assert errors["wrong_program.py"] == expected
