"""A test that ends the worker it runs in fails, and the others run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repetitions import part

ROOT = Path(__file__).resolve().parents[2]

CONFTEST = """
from tests.workers import TestsScheduling

def pytest_xdist_make_scheduler(config, log):
    return TestsScheduling(config, log)
"""
TESTS = """
import os, pytest

@pytest.mark.parametrize("n", range(6))
def test(n):
    if __file__.endswith({file!r}) and n == {n}:
        os._exit(1)
"""


FILES = ("tests/unit/test_one_by_one.py", "tests/cli/test_file.py")


@pytest.mark.parametrize(("file", "n"), part([(file, n) for file in FILES for n in (0, 3, 5)], 1))
def test_a_test_ends_its_worker(tmp_path, file, n):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(TESTS.format(file=file, n=n))
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-n2", "-q"]
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--import-mode=importlib", "tests"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        timeout=120,
        text=True,
        stdout=subprocess.PIPE,
    )
    assert f"{file}::test[{n}]" in ended.stdout
    assert "1 failed, 11 passed" in ended.stdout.splitlines()[-1]
