"""The inputs that are kept: an archive for each target."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType

__all__ = ["TARGETS", "keep", "kept", "target"]

_HERE = Path(__file__).parent
#: the names of all targets
TARGETS = sorted(path.stem for path in (_HERE / "targets").glob("[!_]*.py"))


def target(name: str) -> ModuleType:
    return import_module(f"tests.fuzz.targets.{name}")


def kept(name: str) -> list[bytes]:
    """The inputs of a target, the smallest first; none if there is no archive."""
    path = _archive(name)
    if not path.exists():
        return []
    with zipfile.ZipFile(path) as archive:
        found = [archive.read(entry) for entry in archive.namelist()]
    return sorted(found, key=lambda data: (len(data), data))


def keep(name: str, inputs: Iterable[bytes]) -> int:
    """Replace the archive; its size in bytes. The same inputs give the same archive."""
    path = _archive(name)
    path.parent.mkdir(exist_ok=True)
    named = {hashlib.sha1(data).hexdigest()[:12]: data for data in inputs}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry in sorted(named, key=lambda entry: (len(named[entry]), named[entry])):
            archive.writestr(zipfile.ZipInfo(entry), named[entry], zipfile.ZIP_DEFLATED)
    return path.stat().st_size


def _archive(name: str) -> Path:
    return _HERE / "corpus" / f"{name}.zip"
