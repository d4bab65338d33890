"""A browser for the tests of a module: the real one, with the web client of the reference.

Where there is none these tests are skipped, unless ``CI_BROWSER=required``. Pictures are kept in
the folder ``VUER_TRIO_ARTEFACTS``, ``.ci/artefacts`` if that is not set.
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

from tests.browser.browser_harness import BrowserHarness, serving
from tests.browser.chromium import chromium, executable

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker("browser")


def _missing() -> str | None:
    for package, group in (("playwright", "browser"), ("vuer", "interop")):
        if importlib.util.find_spec(package) is None:
            return f"the package {package}, of the dependency group `{group}`"
    return None if executable() else "a browser: apt-get install chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Its pages are 720 by 450 pixels."""
    if missing := _missing():
        if os.environ.get("CI_BROWSER") == "required":
            pytest.fail(f"CI_BROWSER=required, and these tests need {missing}")
        pytest.skip(f"needs {missing}")
    path = executable()
    assert path is not None
    with chromium(path) as context:
        yield context


@pytest.fixture(scope="module")
def browser_that_is_led_here() -> Iterator[Any]:
    """Strangers' names lead to this machine, as after DNS rebinding; and so do the server's own."""
    if missing := _missing():
        if os.environ.get("CI_BROWSER") == "required":
            pytest.fail(f"CI_BROWSER=required, and these tests need {missing}")
        pytest.skip(f"needs {missing}")
    path = executable()
    assert path is not None
    names = ("evil.test", "some-name.tunnel.test", "robot.local", "10.9.8.7")
    with chromium(path, names=names) as context:
        yield context


@pytest.fixture
def serve(browser: Any) -> Callable[..., AbstractContextManager[BrowserHarness]]:
    """``with serve(app) as harness:`` on Trio, with ``backend=`` on another runtime."""
    return partial(serving, browser=browser)


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """A folder for what a run leaves behind, to be looked at."""
    folder = Path(os.environ.get("VUER_TRIO_ARTEFACTS") or _ROOT / ".ci" / "artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
