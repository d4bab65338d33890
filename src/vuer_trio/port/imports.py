"""The import statements of a program, with another root."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["OURS", "THEIRS", "Change", "changed", "changes"]

THEIRS = "vuer"
OURS = "vuer_trio"


class Change(NamedTuple):
    """A piece of one line that becomes another; columns count bytes of UTF-8."""

    line: int
    column: int
    old: str
    new: str


def changes(tree: ast.AST, source: str) -> list[Change]:
    """What has to be changed in ``source``, of which ``tree`` was read, from the top down."""
    lines = source.splitlines()
    return sorted(change for node in ast.walk(tree) for change in _of(node, lines))


def changed(source: str) -> str:
    """``source`` with its imports changed, and nothing else. Raises SyntaxError."""
    lines = source.splitlines(keepends=True)
    for change in reversed(changes(ast.parse(source), source)):
        line = lines[change.line - 1].encode()
        end = change.column + len(change.old.encode())
        lines[change.line - 1] = (line[: change.column] + change.new.encode() + line[end:]).decode()
    return "".join(lines)


def _of(node: ast.AST, lines: list[str]) -> Iterator[Change]:
    if isinstance(node, ast.ImportFrom):
        if node.level == 0 and _is_theirs(node.module or ""):
            yield _module_of(node, lines)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if _is_theirs(alias.name):
                old = ast.get_source_segment("\n".join(lines), alias) or alias.name
                yield Change(alias.lineno, alias.col_offset, old, _imported(alias))


def _module_of(node: ast.ImportFrom, lines: list[str]) -> Change:
    """Where ``from vuer.x import`` has its ``vuer``: it may be on another line than ``from``."""
    number = node.lineno
    column = node.col_offset + len("from")
    while not (
        found := re.search(rb"\b%b\b" % THEIRS.encode(), lines[number - 1].encode()[column:])
    ):
        number, column = number + 1, 0
    return Change(number, column + found.start(), THEIRS, OURS)


def _imported(alias: ast.alias) -> str:
    """``import vuer.x`` makes the name ``vuer``, which the program goes on using."""
    name = OURS + alias.name.removeprefix(THEIRS)
    if alias.asname:
        return f"{name} as {alias.asname}"
    root = f"{OURS} as {THEIRS}"
    return root if alias.name == THEIRS else f"{name}, {root}"


def _is_theirs(module: str) -> bool:
    return module.split(".")[0] == THEIRS
