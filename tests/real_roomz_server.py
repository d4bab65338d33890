"""The real Roomz server, in a subprocess, for sync and async tests."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import PROGRAMS
from tests.free_ports import free_port

_PROGRAM = PROGRAMS / "roomz_server.py"
_START_DEADLINE = 120.0  # seconds
_STOP_DEADLINE = 120.0  # seconds


class RoomzServer:
    """One server at a time, always on the same port. `email` is a new user each time.

    For a ``changed`` one see ``programs/changed_roomz_server.py``; `ahead` sets its links' clock.
    """

    def __init__(self, home: Path, changed: bool = False) -> None:
        self._home = home
        self._arguments = ["changed"] if changed else []
        self._process: subprocess.Popen[str] | None = None
        self._pump: threading.Thread | None = None
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._users = itertools.count()
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """An IP address: the reference client cannot log in there."""
        return f"http://127.0.0.1:{self.port}"

    def email(self) -> str:
        return f"u{next(self._users)}@example.com"

    def token_after(self, count: int) -> str:
        """The newest token on the console, once it holds more than ``count`` of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._tokens()) > count, timeout=60)
            return self._tokens()[-1]

    @property
    def tokens(self) -> int:
        with self._changed:
            return len(self._tokens())

    def _tokens(self) -> list[str]:
        return re.findall(r"CLI: /token (\S+)", "".join(self._lines))

    @contextmanager
    def ahead(self, seconds: float) -> Iterator[None]:
        """In the block links are so much older."""
        clock = self._home / "ahead"
        clock.write_text(str(seconds))
        try:
            yield
        finally:
            clock.unlink()

    def start(self) -> None:
        """Returns when it accepts connections."""
        foreign = ("VUER_", "COVERAGE_", "COV_CORE_", "PYTHONPATH")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(_PROGRAM), str(self.port), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**environment, "HOME": str(self._home)},
            cwd=self._home,
        )
        self._pump = threading.Thread(target=self._read_output, args=(self._process,), daemon=True)
        self._pump.start()
        deadline = time.monotonic() + _START_DEADLINE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.kill()
                    raise RuntimeError("".join(self._lines)) from None
                time.sleep(0.05)

    def _read_output(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()

    def kill(self, *, stop: bool = False) -> None:
        """End it at once, or ``stop`` it in order. Harmless when it is dead already."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        assert self._pump is not None
        if stop:
            process.stdin.write("stop\n")
        process.stdin.close()
        process.wait(_STOP_DEADLINE)
        self._pump.join(_STOP_DEADLINE)
        process.stdout.close()


@contextmanager
def running_roomz(home: Path, *, changed: bool = False) -> Iterator[RoomzServer]:
    if importlib.util.find_spec("roomz") is None:
        pytest.skip("needs the dependency group `interop`")
    server = RoomzServer(home, changed)
    try:
        yield server
    finally:
        server.kill()
