"""Which library ``backend="auto"`` takes for a program that is read and not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..server.async_libraries import ASYNCIO, TRIO, library_of

__all__ = ["backend_of", "neighbours"]


class _Use(NamedTuple):
    module: str
    line: int


def backend_of(source: str, path: Path | None = None) -> tuple[str, str]:
    """The library and the reason.

    With the ``path`` of the program, the files beside it that it imports count if it needs neither
    itself, as they do when it runs. Raises SyntaxError.
    """
    own = _uses(ast.walk(ast.parse(source)))
    if own:
        return _chosen(own, "")
    found: dict[str, tuple[_Use, str]] = {}
    for file, tree in neighbours(source, path):
        for library, use in _uses(_outside_functions(tree)).items():
            found.setdefault(library, (use, f"{file.name}, "))
    if found:
        _, where = found[TRIO if TRIO in found else ASYNCIO]
        return _chosen({library: use for library, (use, _) in found.items()}, where)
    return TRIO, "the program imports neither trio nor asyncio"


def neighbours(source: str, path: Path | None) -> Iterator[tuple[Path, ast.Module]]:
    """The files beside the program that it imports, and those that they import, each once."""
    if path is None:
        return
    folder = path.resolve().parent
    seen, left = {path.resolve()}, [(folder, ast.parse(source))]
    while left:
        here, tree = left.pop()
        for node in ast.walk(tree):
            for file in _files(node, folder, here):
                if file in seen:
                    continue
                seen.add(file)
                try:
                    found = ast.parse(file.read_text("utf-8"))
                except (OSError, ValueError, SyntaxError):  # the run will say so
                    continue
                left.append((file.parent, found))
                yield file, found


def _files(node: ast.AST, folder: Path, here: Path) -> Iterator[Path]:
    """Where what a statement imports would be, if it is the program's own."""
    if isinstance(node, ast.ImportFrom):
        base = folder
        if node.level:
            base = here
            for _ in range(node.level - 1):
                base = base.parent
        names = [*([node.module] if node.module else []), *_full_names(node)]
    elif isinstance(node, ast.Import):
        base, names = folder, [alias.name for alias in node.names]
    else:
        return
    for name in names:
        place = base.joinpath(*name.split("."))
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                yield file.resolve()


def _full_names(node: ast.ImportFrom) -> list[str]:
    prefix = f"{node.module}." if node.module else ""
    return [prefix + alias.name for alias in node.names if alias.name != "*"]


def _chosen(uses: dict[str, _Use], where: str) -> tuple[str, str]:
    library = TRIO if TRIO in uses else ASYNCIO
    module, line = uses[library]
    what = "it" if module.split(".")[0] == library else f"{module}, which needs it"
    return library, f"{where}line {line} imports {what}"


def _uses(nodes: Iterator[ast.AST]) -> dict[str, _Use]:
    """The first import that needs it, by library."""
    found: dict[str, _Use] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module or "", *_full_names(node)]
        else:
            continue
        for module in modules:
            if library := library_of(module):
                found.setdefault(library, _Use(module, node.lineno))
    return found


def _outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    """What is done when a module is imported."""
    left = [tree]
    while left:
        node = left.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            left += ast.iter_child_nodes(node)
