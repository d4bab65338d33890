"""Where the suite is installed: it needs Python 2.7, which a system may have, or Debian 11 has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests import ROOT

__all__ = ["installed_wstest"]

_REQUIREMENTS = Path(__file__).with_name("autobahn.txt")


def installed_wstest(folder: Path) -> Path:
    """Install what is not there; the path of its command."""
    wstest = folder / "env" / "bin" / "wstest"
    if not wstest.exists():
        python = _python27(folder)
        _run(sys.executable, "-m", "virtualenv", "-q", "-p", python, folder / "env")
        _run(folder / "env" / "bin" / "pip", "install", "-q", "-r", _REQUIREMENTS)
    return wstest


def _python27(folder: Path) -> str | Path:
    pyenv = sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))
    found = pyenv[-1:] or [shutil.which("python2.7")]
    if found[0] is not None:
        return found[0]
    _run(ROOT / ".ci" / "debian-python", "bullseye", "2.7", folder)
    return folder / "bin" / "python2.7"


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True)
