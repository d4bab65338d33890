"""The command ``vuer-trio`` in a subprocess, with pipes, or in this process, with files."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from tests.pseudo_terminal import DEADLINE
from vuer_trio.cli import main
from vuer_trio.cli.log import Remarks

__all__ = ["COMMAND", "call", "environment", "run", "start"]

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
    return _clean(done)


def call(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """`run` without a process, for a test that is not about one: most of `run` is its start."""
    with ExitStack() as stack:
        files = [
            stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline=""))
            for _ in range(3)
        ]
        files[0].write(stdin)
        files[0].seek(0)
        for name, file in zip(("stdin", "stdout", "stderr"), files, strict=True):
            stack.enter_context(patch.object(sys, name, file))
        stack.callback(os.close, usual := os.dup(0))
        stack.callback(os.dup2, usual, 0)
        os.dup2(files[0].fileno(), 0)  # from which `send -` reads
        stack.enter_context(patch.dict(os.environ, environment(**more), clear=True))
        _log_of_this_thread(stack)
        try:
            status = main(arguments)
        except SystemExit as left:
            status = int(left.code or 0)
        for file in files[1:]:
            file.seek(0)
        return _clean(
            subprocess.CompletedProcess(arguments, status, *(f.read() for f in files[1:]))
        )


def _log_of_this_thread(stack: ExitStack) -> None:
    """The log as a process begins, and without that of the servers in other threads of this one."""
    here = threading.get_ident()
    emit = Remarks.emit

    def emit_own(self: Remarks, record: logging.LogRecord) -> None:
        if record.thread == here:
            emit(self, record)

    stack.enter_context(patch.object(Remarks, "emit", emit_own))
    stack.enter_context(patch.object(logging.root, "handlers", []))
    for logger in (logging.root, logging.getLogger("vuer_trio")):
        stack.callback(logger.setLevel, logger.level)


def _clean(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
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
