"""The tests that pass on each backend: of a run at its end, and of runs on several Pythons.

    python -m tests.backend_table build/pythons.jsonl

prints what runs with ``--table=build/pythons.jsonl`` have added to that file, as Markdown.
"""

from __future__ import annotations

import json
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.backends import BACKENDS

__all__ = ["NO_BACKEND", "joined", "lines_of", "rows_of", "save"]

#: of tests that no backend takes part in
NO_BACKEND = "without a backend"
_OUTCOMES = ["passed", "failed", "skipped"]
_NAMES = [*(backend.name for backend in BACKENDS), NO_BACKEND]

#: how many tests came to what, for each backend
Rows = dict[str, dict[str, int]]


def rows_of(stats: Mapping[str, Iterable[Any]]) -> Rows:
    """From the ``stats`` of pytest's terminal reporter. An error counts as a failure; a test that
    has passed, and cannot be taken down, as both."""
    counted: Counter[tuple[str, str]] = Counter()
    for key, outcome in (*zip(_OUTCOMES, _OUTCOMES, strict=True), ("error", "failed")):
        for report in stats.get(key, ()):
            counted[_backend(report.nodeid), outcome] += 1
    return {name: {each: counted[name, each] for each in _OUTCOMES} for name in _NAMES}


def _backend(nodeid: str) -> str:
    parameters = nodeid.partition("[")[2].rstrip("]").split("-")
    found = [name for name in _NAMES if name in "-".join(parameters)]
    # "trio/websockets" is no part of another name, nor is any other one
    return found[0] if found else NO_BACKEND


def lines_of(rows: Rows) -> list[str]:
    head = f"{'Python ' + platform.python_version():22}" + "".join(f"{o:>9}" for o in _OUTCOMES)
    return [
        head,
        *(
            f"{name:22}" + "".join(f"{counts[each]:9}" for each in _OUTCOMES)
            for name, counts in rows.items()
            if any(counts.values())
        ),
    ]


def save(rows: Rows, file: Path, variant: str = "") -> None:
    """Add a line to the file; ``variant`` is what the run did otherwise."""
    file.parent.mkdir(parents=True, exist_ok=True)
    title = f"{platform.python_version()}{variant and ', ' + variant}"
    with file.open("a") as out:
        out.write(json.dumps({"title": title, "rows": rows}) + "\n")


def joined(*files: Path) -> str:
    """Of each Python the latest run, as a table in Markdown."""
    runs = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    latest: dict[str, Rows] = {run["title"]: run["rows"] for run in runs}
    lines = ["| Python | " + " | ".join(_NAMES) + " |", "|---" * (len(_NAMES) + 1) + "|"]
    for title, rows in sorted(latest.items(), key=lambda run: _by_version(run[0])):
        lines.append(f"| {title} | " + " | ".join(_cell(rows[name]) for name in _NAMES) + " |")
    return "\n".join(lines)


def _by_version(title: str) -> tuple[list[int], str]:
    version, _, variant = title.partition(",")
    return [int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")], variant


def _cell(counts: dict[str, int]) -> str:
    cell = f"{counts['passed']:,}"
    for each in _OUTCOMES[1:]:
        if counts[each]:
            cell += f", {counts[each]} {each}"
    return cell


if __name__ == "__main__":
    print(joined(*map(Path, sys.argv[1:])))
