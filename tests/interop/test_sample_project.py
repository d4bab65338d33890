"""The test kit as a user has it: a project of its own, the built wheel, a new environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT

pytestmark = pytest.mark.interop

SAMPLE = ROOT / "tests" / "sample_project"


def run(*command: object, cwd: Path, timeout: float = 300) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTHON", "PYTEST"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def sample(
    packages: dict[str, Path],
    new_environment: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """A copy of the sample, and the interpreter of an environment with what it asks for."""
    asked = tomllib.loads((SAMPLE / "pyproject.toml").read_text("utf-8"))
    names = [*asked["project"]["dependencies"], *asked["dependency-groups"]["test"]]
    # the wheel in place of what would come from an index
    wheel = packages["wheel"]
    wanted = [re.sub(r"^vuer-trio(\[.*\])$", rf"{wheel}\1", name) for name in names]
    python = new_environment(*wanted)
    copy = tmp_path_factory.mktemp("sample") / "box-robot"
    shutil.copytree(SAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    return copy, python


def test_the_fixtures_work_under_all_three_plugins(sample):
    copy, python = sample
    printed = run(python, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", cwd=copy)
    # two of anyio's tests run on asyncio and on trio
    assert re.search(r"^10 passed in", printed, re.MULTILINE), printed
    assert str(ROOT) not in run(python, "-c", "import vuer_trio; print(vuer_trio)", cwd=copy)


def test_the_plugin_alone_is_harmless(sample):
    """No async plugin is there, and nothing of the package is loaded."""
    copy, python = sample
    (copy / "quiet").mkdir()
    (copy / "quiet" / "test_quiet.py").write_text(
        "import sys\n"
        "def test_nothing_is_loaded():\n"
        "    assert 'pytest_vuer_trio' in sys.modules\n"
        "    assert not {'vuer_trio', 'trio', 'anyio', 'websockets'} & sys.modules.keys()\n"
        "def test_the_fixtures_are_there(vuer_server, vuer_client, vuer_pair):\n"
        "    assert callable(vuer_server)\n",
        "utf-8",
    )
    off = [part for name in ("trio", "anyio", "asyncio") for part in ("-p", f"no:{name}")]
    options = ["-q", "-c", os.devnull, "--rootdir", copy / "quiet", "-p", "no:cacheprovider"]
    printed = run(python, "-m", "pytest", *options, *off, "quiet", cwd=copy)
    assert "2 passed" in printed
