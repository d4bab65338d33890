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
from audience import IDLE

__all__ = ["Server", "Worker", "import_seconds", "measure_server", "peer"]

_HERE = Path(__file__).parent
#: seconds before a server is looked at, and of the row "idle"
_SETTLE, _WINDOW = 1.0, 5.0


def _start(*command: str, source: str = "") -> tuple[subprocess.Popen[str], IO[str], IO[str]]:
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=_HERE,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source} if source else None,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return process, process.stdin, process.stdout


def _ask(name: str, orders: IO[str], answers: IO[str], row: str, *more: str | int) -> float:
    """One figure, of a process that takes orders line by line."""
    orders.write(json.dumps([row, *more]) + "\n")
    orders.flush()
    answer = answers.readline()
    if not answer:
        raise RuntimeError(f"{name} failed at {row!r}; see above")
    return float(answer)


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
    """One client, in a process of its own that sleeps while others are measured.

    It imports ``vuer_trio`` from the folder ``source``, or what is installed.
    """

    def __init__(self, name: str, source: str = "") -> None:
        self.name = name
        self._process, self._stdin, self._stdout = _start("worker.py", name, source=source)

    def measure(self, row: str, uri: str) -> float:
        """The row's figure."""
        return _ask(self.name, self._stdin, self._stdout, row, uri)

    def end(self) -> None:
        self._stdin.close()
        self._process.wait()
        self._stdout.close()


class Server:
    """One server, and a process of its clients.

    The server imports ``vuer_trio`` from the folder ``source``, or what is installed.
    """

    def __init__(self, name: str, *, tls: bool = False, source: str = "") -> None:
        self.name = name
        certificate = _certificate() if tls else ()
        self._server, _, told = _start("servers.py", name, *certificate, source=source)
        self._audience, self._orders, self._answers = _start("audience.py")
        self._port = int(told.readline())

    def measure(self, row: str) -> float:
        """The row's figure."""
        if row == "idle":
            self._order("open", IDLE)
            return _share(self._server.pid)
        if row == "memory":
            self._order("open", 1)
            first = _kibibytes(self._server.pid)
            self._order("open", IDLE)
            return (_kibibytes(self._server.pid) - first) / IDLE
        return self._order(row)

    def _order(self, row: str, count: int = 0) -> float:
        return _ask(self.name, self._orders, self._answers, row, self._port, count)

    def end(self) -> None:
        for process in (self._audience, self._server):
            process.kill()
            process.communicate()


def measure_server(name: str, row: str) -> float:
    """The figure of a row, with a new server and a new process of clients."""
    server = Server(name, tls="TLS" in row)
    try:
        return server.measure(row)
    finally:
        server.end()


def _kibibytes(pid: int) -> float:
    """What a process holds of the memory."""
    time.sleep(_SETTLE)
    return float(psutil.Process(pid).memory_info().rss) / 1024


@cache
def _certificate() -> tuple[str, str]:
    """Files of a certificate and its key, for 127.0.0.1; they go with the run."""
    import trustme

    issued = trustme.CA().issue_cert("127.0.0.1")
    folder = Path(_scratch().name)
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return str(folder / "cert.pem"), str(folder / "key.pem")


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
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": _scratch().name}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return float(subprocess.check_output([sys.executable, "-c", code], text=True, env=environment))


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory for this run's byte code and certificate; it goes with the run."""
    return tempfile.TemporaryDirectory(prefix="benchmarks-")
