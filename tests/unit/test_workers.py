"""A test that ends the worker it runs in fails, and the others run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("file", ["tests/unit/test_one_by_one.py", "tests/cli/test_file.py"])
@pytest.mark.parametrize("n", [0, 3, 5])
def test_a_test_ends_its_worker(tmp_path, file, n):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name in ("tests/unit/test_one_by_one.py", "tests/cli/test_file.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(TESTS.format(file=file, n=n))
    command = [sys.executable, "-m", "pytest", "-n2", "-q", "--import-mode=importlib"]
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        text=True,
        stdout=subprocess.PIPE,
    )
    assert f"{file}::test[{n}]" in ended.stdout
    assert "1 failed, 11 passed" in ended.stdout.splitlines()[-1]
