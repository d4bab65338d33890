"""Every public symbol has a type that each type checker reads alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vuer_trio

pytestmark = pytest.mark.no_cover

pytest.importorskip("pyright")

_CHECKING = 300.0  # seconds


def test_every_public_symbol_has_a_known_type(tmp_path: Path) -> None:
    # It looks for the package in what the `python` in PATH imports from, whatever it is told.
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": str(Path(vuer_trio.__file__).parent.parent),
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pyright", "--verifytypes", "vuer_trio"),
            *("--ignoreexternal", "--outputjson"),
        ],
        capture_output=True,
        cwd=tmp_path,
        encoding="utf-8",
        env=environment,
        timeout=_CHECKING,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    found = report["typeCompleteness"]
    assert not report["generalDiagnostics"]
    assert found["exportedSymbolCounts"]["withKnownType"] > 1500
    unknown = {
        symbol["name"]: [diagnostic["message"] for diagnostic in symbol["diagnostics"]]
        for symbol in found["symbols"]
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
    }
    assert not unknown
    assert found["completenessScore"] == 1
