"""A browser for the tests of a module: the real one, with the web client of the reference.

Where there is none these tests are skipped, unless ``CI_BROWSER=required``. Pictures are kept in
the folder ``VUER_TRIO_ARTEFACTS``, ``artefacts`` if that is not set.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_PACKAGES = {"playwright": "browser", "vuer": "interop"}

#: without these the modules here can not be imported
_MISSING = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
collect_ignore_glob = ["*.py"] if _MISSING and os.environ.get("CI_BROWSER") != "required" else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Its pages are 960 by 600 pixels."""
    from chromium import chromium, executable

    path = executable()
    if path is None:
        if os.environ.get("CI_BROWSER") == "required":
            pytest.fail("CI_BROWSER=required, but there is no chromium on the PATH")
        pytest.skip("needs a browser: no chromium on the PATH (apt-get install chromium)")
    with chromium(path) as context:
        yield context


@pytest.fixture
def serve(browser: Any) -> Callable[..., AbstractContextManager[Any]]:
    """``with serve(app) as stage:`` on Trio, ``serve(app, leg=leg)`` on another runtime."""
    from stage import serving

    return partial(serving, browser=browser)


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """A folder for what a run leaves behind, to be looked at."""
    folder = Path(os.environ.get("VUER_TRIO_ARTEFACTS") or _ROOT / "artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
