"""The version is written in two places, and they say the same."""

from __future__ import annotations

import tomllib

import vuer_trio
from tests import ROOT

PROJECT = ROOT / "pyproject.toml"


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    assert vuer_trio.__version__ == project["version"]
