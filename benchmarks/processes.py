"""The processes of a benchmark: the peer, and one for each client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

__all__ = ["Worker", "import_seconds", "peer"]

_HERE = Path(__file__).parent


def _start(*command: str) -> tuple[subprocess.Popen[str], IO[str], IO[str]]:
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=_HERE,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return process, process.stdin, process.stdout


@contextmanager
def peer() -> Iterator[str]:
    """Run the peer; yields its URI."""
    process, _, stdout = _start("peer.py")
    try:
        yield f"ws://127.0.0.1:{int(stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


class Worker:
    """One client, in a process of its own that sleeps while others are measured."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process, self._stdin, self._stdout = _start("worker.py", name)

    def measure(self, row: str, uri: str) -> float:
        """The row's figure."""
        self._stdin.write(json.dumps([row, uri]) + "\n")
        self._stdin.flush()
        answer = self._stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} failed at {row!r}; see above")
        return float(answer)

    def end(self) -> None:
        self._stdin.close()
        self._process.wait()
        self._stdout.close()


def import_seconds(statement: str) -> float:
    """The wall time of an import in a fresh interpreter, that of the interpreter left out.

    From byte code, as with installed packages; an editable install and some environments have none.
    """
    code = f"from time import perf_counter as p; t = p(); {statement}; print(p() - t)"
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": _byte_code().name}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return float(subprocess.check_output([sys.executable, "-c", code], text=True, env=environment))


@cache
def _byte_code() -> tempfile.TemporaryDirectory[str]:
    """A directory for this run's byte code; it goes with the run."""
    return tempfile.TemporaryDirectory(prefix="byte-code-")
