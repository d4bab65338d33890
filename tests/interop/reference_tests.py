"""The reference's own tests, taken out of the installed package and run on ours."""

import importlib.util
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest


def root() -> Path:
    """The folder of the installed package, which is not imported."""
    spec = importlib.util.find_spec("vuer")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("vuer is not installed", allow_module_level=True)
    return Path(spec.submodule_search_locations[0])


def borrow(
    folder: str, files: Iterable[str], replace: Mapping[str, str] | None = None
) -> dict[str, Callable[[], None]]:
    """The test functions of ``files`` by name, with our import root and what else is replaced."""
    found: dict[str, Callable[[], None]] = {}
    for name in files:
        path = root() / folder / name
        source = path.read_text("utf-8")
        for old, new in {"from vuer.": "from vuer_trio.", **(replace or {})}.items():
            source = source.replace(old, new)
        module = types.ModuleType(f"borrowed_{path.stem}")
        module.__file__ = str(path)  # they find their assets by it
        sys.modules[module.__name__] = module
        exec(compile(source, name, "exec"), vars(module))
        for test, function in vars(module).items():
            if test.startswith("test_"):
                found[f"{path.stem[5:]}:{test[5:]}"] = function
    return found
