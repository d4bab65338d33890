"""A real Redis, in a process of its own, for the tests that need one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from tests.free_ports import free_port

__all__ = ["RedisServer", "redis_cli", "redis_or_skip"]

#: where there must be one, or the tests fail: as CI_BROWSER is for browsers
_REQUIRED = os.environ.get("CI_REDIS") == "required"
#: seconds for it to start
_PATIENCE = 120.0


def redis_or_skip() -> str:
    """The path of the server; without one the test is skipped, and says so."""
    found = shutil.which("redis-server")
    if found is None:
        if _REQUIRED:
            pytest.fail("CI_REDIS=required, and there is no redis-server")
        pytest.skip("there is no redis-server: apt-get install redis-server")
    return found


class RedisServer:
    """``with RedisServer(folder) as redis:``; it keeps its data in the folder over a restart."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self._path = redis_or_skip()
        self._folder = folder
        self._options: Sequence[str] = options
        self.port = free_port() if port is None else port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(self._path, "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", str(self._folder), "--save", "", "--appendonly", "yes"),
                # else it answers before it writes, for up to two seconds, when the disk is busy
                *("--appendfsync", "always"),
                # else it answers before it writes, for up to two seconds, when the disk is busy
                *("--appendfsync", "always"),
                *("--loglevel", "warning", "--logfile", str(self._folder / "log")),
                *self._options,
            ]
        )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self._folder / "log").read_text())
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock:
                if "--tls-port" in self._options:
                    return True
                sock.sendall(b"PING\r\n")
                answer = sock.recv(100)
        except OSError:
            return False
        return answer.startswith((b"+PONG", b"-NOAUTH"))

    def pause(self) -> None:
        """Let it stand still, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.kill()

    def command(self, *words: str | bytes) -> bytes:
        """What it answers to a command, as it is on the wire."""
        return redis_cli(self.port, *words)


def redis_cli(port: int, *words: str | bytes) -> bytes:
    """Send one command; returns the first 64 KiB of the answer."""
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    sent = b"*%d\r\n" % len(parts)
    sent += b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(sent)
        answer = sock.recv(65_536)
    if not answer:
        print("redis closed the connection", file=sys.stderr)
    return answer
