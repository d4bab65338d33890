"""An import hook: in this process and those that it starts, `vuer` is this library."""

from __future__ import annotations

import importlib
import multiprocessing.spawn
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from .imports import OURS, THEIRS
from .unoffered import why_not

__all__ = ["install", "run"]


def run(program: str, arguments: Sequence[str]) -> None:
    """Run a program as ``python program arguments`` does, without a change to it."""
    install()
    sys.argv[:] = [program, *arguments]
    sys.path[0:1] = [str(Path(program).resolve().parent)]
    runpy.run_path(program, run_name="__main__")


def install() -> None:
    """Redirect ``import vuer`` from here on. Twice is harmless."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    # A process that is started anew reads this first, before it imports the program.
    prepare = multiprocessing.spawn.get_preparation_data
    multiprocessing.spawn.get_preparation_data = _with_installer(prepare)


def _with_installer(prepare: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def prepared(*args: Any) -> dict[str, Any]:
        return {**prepare(*args), OURS: _Installer()}

    return prepared


class _Installer:
    """Unpickled, it is a call of `install`."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return install, ()


class _Finder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != THEIRS and not name.startswith(f"{THEIRS}."):
            return None
        return ModuleSpec(name, _Loader(), is_package=True)


class _Loader(Loader):
    """Finds the module of ours in place of one of theirs."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        ours = OURS + spec.name.removeprefix(THEIRS)
        try:
            module = importlib.import_module(ours)
        except ModuleNotFoundError as error:
            if error.name is None or not ours.startswith(error.name):
                raise
            reason = why_not(spec.name) or f"{OURS} has no such module"
            raise ModuleNotFoundError(f"{spec.name}: {reason}", name=spec.name) from None
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It has been executed, under its own name, which it keeps."""
        module.__spec__ = self._own
