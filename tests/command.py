"""The command ``vuer-trio`` in a subprocess, with pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from terminal import DEADLINE

__all__ = ["COMMAND", "environment", "run", "start"]

COMMAND = [sys.executable, "-W", "error", "-m", "vuer_trio.cli"]


def environment(**more: str) -> dict[str, str]:
    """Without what whoever runs the tests has set."""
    foreign = ("VUER_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    return {**plain, **more}


def run(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """To its end. No output of it may hold an escape sequence, or a traceback."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        env=environment(**more),
    )
    for text in (done.stdout, done.stderr):
        assert "\x1b" not in text, text
        assert "Traceback" not in text, text
    return done


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """In the background, with three pipes. It is to be used in a ``with``."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
        **options,
    )
