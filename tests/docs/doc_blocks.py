"""The fenced blocks of the README and of the guide, and how each is to be run.

An HTML comment above a block, which a reader does not see, may say more about it:

    <!-- program -->            a whole program, run as such; else a snippet, see `test_docs.py`
    <!-- tests -->              a file of tests, for pytest
    <!-- server: scene -->      what the server does, see `doc_servers.py`; `listens` if not given.
                                `above`: it is the program above
    <!-- needs: numpy -->       a module without which it is skipped
    <!-- client: moves -->      a program that serves; what its client does, see `doc_clients.py`
    <!-- got: [[1, 2, 3]] -->   JSON: the values of the events that must arrive there, without INIT
    <!-- picture: box -->       `docs/pictures/make.py` makes that picture of what it serves
    <!-- command: demo -->      one line for a shell, which CI takes from there
    <!-- output: demo -->       what that prints

A ``console`` block is run as well, see `doc_consoles.py`; ``server`` and ``got`` are for it, too.
What a Python block prints is the ``text`` block that comes next, if that has no note.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

#: where the repository lies, which the README's links name for the sake of a package index
SOURCE: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"][
    "Source"
]
_RAW = SOURCE.replace("github.com", "raw.githubusercontent.com")
_OURS = re.compile(rf"(?:{re.escape(SOURCE)}/(?:blob|tree)|{re.escape(_RAW)})/main/(.+)")

_FENCE = re.compile(r" *```(.*)")
_NOTE = re.compile(r"<!-- (\w+)(?:: (.*))? -->")
_KEYS = {"program", "tests", "server", "client", "needs", "got"} | {
    *("command", "output", "picture", "screen"),
}


def target_of(page: Path, link: str) -> tuple[Path, str] | None:
    """The file or folder of the repository that a link leads to, there or not, and the anchor.

    None for a link that leads somewhere else.
    """
    ours = _OURS.fullmatch(link)
    if ours is None and re.match(r"[a-z]+:", link):
        return None
    path, _, anchor = (ours[1] if ours else link).partition("#")
    folder = ROOT if ours else page.parent
    return (folder / path).resolve() if path else page, anchor


@dataclass(frozen=True)
class Block:
    page: Path
    line: int  # of its first line of code, from 1
    language: str
    source: str
    notes: dict[str, str]
    output: str | None = None

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order; what a Python block prints is part of it."""
    found: list[Block] = []
    for block in _scan(page):
        before = found[-1] if found else block
        printed = block.language == "text" and not block.notes
        if printed and before.language == "python" and before.output is None:
            found[-1] = replace(before, output=block.source)
        else:
            found.append(block)
    return found


def _scan(page: Path) -> Iterator[Block]:
    notes: dict[str, str] = {}
    lines = iter(enumerate(page.read_text("utf-8").splitlines(), 1))
    for number, line in lines:
        if note := _NOTE.fullmatch(line):
            key, value = note.groups()
            assert key in _KEYS, f"{page.name}:{number}: {line}"
            assert key not in notes, f"{page.name}:{number}: {line}"
            notes[key] = value or ""
        elif fence := _FENCE.fullmatch(line):
            source = []
            for _, inside in lines:
                if _FENCE.fullmatch(inside):
                    break
                source.append(inside + "\n")
            else:
                raise AssertionError(f"{page.name}:{number}: this block has no end")
            yield Block(page, number + 1, fence[1], "".join(source), notes)
            notes = {}
        elif line.strip():
            assert not notes, f"{page.name}:{number}: above this is a note that belongs to no block"
