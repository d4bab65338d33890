"""A command in a pseudo-terminal, for tests that look at it as its user does."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from array import array

__all__ = ["DEADLINE", "Terminal"]

#: seconds; a loaded machine may need a tenth of it
DEADLINE = 120.0
#: the terminal becomes the one whose Ctrl-C the command gets; `preexec_fn` dislikes our threads
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A command at a terminal of 30 lines; `expect` waits for text that comes after what was seen.

    A context manager, which ends the command.
    """

    def __init__(self, *command: str, width: int = 100, **environment: str) -> None:
        self._fd, inside = pty.openpty()
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
        foreign = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
        plain = {k: v for k, v in os.environ.items() if k not in foreign}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *command],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            env={**plain, "TERM": "xterm-256color", **environment},
        )
        os.close(inside)
        # A read may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.raw = ""
        self._seen = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def text(self) -> str:
        """What was written, without its escape sequences."""
        return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>78])", "", self.raw)

    def read(self, deadline: float) -> bool:
        """Take what is there, or wait for it; whether there was any."""
        ready, _, _ = select.select([self._fd], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the other side is closed
            return False
        if b"\x1b[6n" in data:  # where is the cursor?
            os.write(self._fd, b"\x1b[1;1R")
        self.raw += self._decoder.decode(data)
        return bool(data)

    def expect(self, wanted: str) -> None:
        """Park until it is shown."""
        deadline = time.monotonic() + DEADLINE
        while (at := self.text.find(wanted, self._seen)) < 0:
            assert self.read(deadline), f"no {wanted!r} in {self.text[self._seen :][-2000:]!r}"
        self._seen = at + len(wanted)

    def park_unread(self, least: int = 2000) -> None:
        """Read nothing until the command has written so much that it parks in a write."""
        deadline = time.monotonic() + DEADLINE
        unread = array("i", [0])
        while unread[0] < least:
            assert time.monotonic() < deadline, f"only {unread[0]} bytes were written"
            time.sleep(0.01)
            fcntl.ioctl(self._fd, termios.FIONREAD, unread)

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def enter(self, line: str) -> None:
        self.type(f"{line}\r")

    def wait(self) -> int:
        """The exit status."""
        deadline = time.monotonic() + DEADLINE
        while self.read(deadline):
            pass
        return self._process.wait(DEADLINE)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(DEADLINE)
        os.close(self._fd)
