"""The page "Why" shows what its programs print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests import PROGRAMS, ROOT

pytestmark = pytest.mark.no_cover

PAGE = ROOT / "docs" / "why.md"
CLIENTS = sorted((PROGRAMS / "why").glob("with_*.py"))
_DEADLINE = 120.0  # seconds; it takes about three

#: by situation, then by what was looked at
Found = dict[str, dict[str, str]]


def run(program: Path, *arguments: str) -> Found:
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, program, *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=_DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    found: Found = {}
    situation = ""
    for line in done.stdout.splitlines():
        name, colon, what = line.strip().partition(": ")
        if colon:
            found[situation][name] = what
        else:
            situation = name
            found[situation] = {}
    return found


def tables() -> dict[str, Found]:
    """What the page says, by program."""
    shown: dict[str, Found] = {}
    for section in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.M)[1:]:
        situation = section.partition("\n")[0].lower().removeprefix("a ")
        rows = [line for line in section.splitlines() if line.startswith("|")]
        (_, *names), _, *rest = ([c.strip() for c in row.strip("|").split("|")] for row in rows)
        for client, *cells in rest:
            program = re.fullmatch(r"\[.+\]\(\.\./tests/programs/why/(.+\.py)\)", client)
            assert program is not None
            what = shown.setdefault(program[1], {})
            what[situation] = dict(zip(names, cells, strict=True))
    return shown


def test_every_program_is_on_the_page() -> None:
    assert sorted(tables()) == [program.name for program in CLIENTS]
    assert len(CLIENTS) == 6


@pytest.mark.parametrize("program", CLIENTS, ids=lambda program: program.stem)
def test_a_program_prints_what_the_page_shows(program: Path) -> None:
    assert run(program) == tables()[program.name]


def test_ours_does_the_same_under_asyncio() -> None:
    program = PROGRAMS / "why" / "with_vuer_trio.py"
    assert run(program, "asyncio") == tables()[program.name]


def test_the_page_names_versions_that_are_no_later_than_those_here() -> None:
    """What a later one does, the other tests compare."""
    named = re.findall(r"`([a-z-]+)`\s(\d+)\.(\d+)\.?\d*", PAGE.read_text("utf-8"))
    assert [name for name, *_ in named] == ["vuer", "websockets", "trio-websocket", "httpx-ws"]
    for name, *numbers in named:
        installed = version(name).split(".")
        assert [int(n) for n in numbers] <= [int(n) for n in installed[:2]], name
