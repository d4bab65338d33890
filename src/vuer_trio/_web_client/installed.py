"""The web client that is already installed."""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["web_client"]


def web_client() -> Path | None:
    """The folder of the web client in the package `vuer`, which is not imported."""
    # By what is installed: under `vuer-trio port --run` a program's `vuer` is this package.
    spec = PathFinder.find_spec("vuer")
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place, "client_build")
        if (folder / "index.html").is_file():
            return folder
    return None
