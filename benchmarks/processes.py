"""The processes of a benchmark: the peer, and one for each client; a server, and its clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

import psutil

__all__ = ["Worker", "import_seconds", "measure_server", "peer"]

_HERE = Path(__file__).parent
#: of the row "idle": seconds before and while it is measured
_SETTLE, _WINDOW = 1.0, 5.0


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


def measure_server(name: str, row: str) -> float:
    """The figure of a row, with a new server and a new process of clients."""
    server, _, told = _start("servers.py", name)
    audience, orders, answers = _start("audience.py")
    try:
        port = int(told.readline())
        orders.write(json.dumps([row, port]) + "\n")
        orders.flush()
        answer = answers.readline()
        if not answer:
            raise RuntimeError(f"{name} failed at {row!r}; see above")
        return _share(server.pid) if row == "idle" else float(answer)
    finally:
        for process in (audience, server):
            process.kill()
            process.communicate()


def _share(pid: int) -> float:
    """What a process takes of one core, in per cent."""
    process = psutil.Process(pid)
    time.sleep(_SETTLE)
    before, start = process.cpu_times(), time.perf_counter()
    time.sleep(_WINDOW)
    after, elapsed = process.cpu_times(), time.perf_counter() - start
    used = (after.user + after.system) - (before.user + before.system)
    return 100 * used / elapsed


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
