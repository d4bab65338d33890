"""Autobahn|Testsuite 0.8.2, which is a program for Python 2.7."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conformance.implementations import Implementation
from tests.conformance.visiting import have_reported
from tests.free_ports import free_port

__all__ = ["Suite"]

#: seconds for a program to start
_START = 60
_ROOT = Path(__file__).parents[2]


class Suite:
    """``wstest`` is its command, ``folder`` gets the reports, ``cases`` are patterns: "1.*"."""

    def __init__(
        self, wstest: Path, folder: Path, cases: Sequence[str], but: Sequence[str]
    ) -> None:
        self._wstest = wstest.absolute()
        self._folder = folder.absolute()
        self._cases = {"cases": list(cases), "exclude-cases": list(but)}

    def servers(self, tested: Sequence[Implementation]) -> dict[str, Any]:
        """The suite as a client of each; what it says of each case, by name and case."""
        spec: dict[str, Any] = {"outdir": str(self._folder / "servers"), "servers": []}
        with _stopped_at_the_end() as programs:
            for each in tested:
                port = free_port()
                programs.append(_echo(each, "serve", str(port)))
                _wait_until_open(port)
                spec["servers"].append({"agent": each.name, "url": f"ws://127.0.0.1:{port}"})
            started = self._start("fuzzingclient", spec)
            programs.append(started)
            _must_succeed(started, "wstest")
        return _index(self._folder / "servers")

    def clients(self, tested: Sequence[Implementation]) -> dict[str, Any]:
        """The suite as a server for each."""
        port = free_port()
        uri = f"ws://127.0.0.1:{port}"
        spec = {"outdir": str(self._folder / "clients"), "url": uri}
        with _stopped_at_the_end() as programs:
            programs.append(self._start("fuzzingserver", spec))
            _wait_until_open(port)
            for each in tested:
                started = _echo(each, "visit", uri)
                programs.append(started)
                _must_succeed(started, f"the client of {each.name}")
            have_reported(uri)
        return _index(self._folder / "clients")

    def _start(self, mode: str, spec: dict[str, Any]) -> subprocess.Popen[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{mode}.json"
        file.write_text(json.dumps(spec | self._cases, indent=1))
        command = [self._wstest, "-m", mode, "-s", file, "-u", "0"]
        with (self._folder / f"{mode}.log").open("wb") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder
            )


def _echo(tested: Implementation, verb: str, where: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", tested.program, tested.argument, verb, where]
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL)


@contextmanager
def _stopped_at_the_end() -> Iterator[list[subprocess.Popen[bytes]]]:
    programs: list[subprocess.Popen[bytes]] = []
    try:
        yield programs
    finally:
        for program in programs:
            program.send_signal(signal.SIGTERM)
        for program in programs:
            program.wait()


def _must_succeed(program: subprocess.Popen[bytes], what: str) -> None:
    if program.wait() != 0:
        raise SystemExit(f"{what} has failed: it ended with {program.returncode}")


def _wait_until_open(port: int) -> None:
    end = time.monotonic() + _START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _index(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "index.json").read_text())
    return found
