"""Console blocks of the guide: what is behind ``$`` is run by bash, what follows must be printed.

Both stdout and stderr are shown, as far as they come in a pipe. What is different each time need
not be as the page has it: numbers with a decimal point, times of the day, sizes of files with their
units, ports of clients, and how many blanks there are. A line ``...`` stands for any lines. At a
line ``^C`` a command gets an interrupt, once it has printed the lines above; a ``console`` block
shows what it prints then.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.doc_blocks import Block

__all__ = ["Shown", "check", "commands_of", "matches"]

DEADLINE = 120.0  # seconds
_SIZE = r"\d+(?:\.\d+)? [KMG]?B\b"
_VARIES = re.compile(rf"(\d\d:\d\d:\d\d\.\d+|{_SIZE}|\d+\.\d+(?!\.)|127\.0\.0\.1:\d+| +)")


@dataclass
class Shown:
    """A command, and the lines that are shown below it."""

    command: str
    lines: list[str] = field(default_factory=list)


def commands_of(block: Block) -> list[Shown]:
    """What a console block shows."""
    found: list[Shown] = []
    for line in block.source.splitlines():
        if line.startswith("$ "):
            found.append(Shown(line[2:]))
        elif found:
            found[-1].lines.append(line)
        else:
            raise AssertionError(f"{block.name} does not begin with a command")
    return found


def matches(shown: list[str], printed: list[str]) -> bool:
    """Whether the lines that were printed are those that are shown."""
    pattern = "".join(r"(?:.*\n)*" if line == "..." else _pattern(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def _pattern(line: str) -> str:
    return "".join(
        re.escape(part) if n % 2 == 0 else _any_like(part)
        for n, part in enumerate(_VARIES.split(line.rstrip()))
    )


def _any_like(part: str) -> str:
    if part[0] == " ":
        return " +"
    if part.endswith("B"):
        return _SIZE
    if ":" in part and part.count(":") == 2:
        return r"\d\d:\d\d:\d\d\.\d+"
    return r"127\.0\.0\.1:\d+" if ":" in part else r"\d+\.\d+"


def check(block: Block, folder: Path, here: dict[str, str], **environment: str) -> None:
    """Run a console block in a folder; ``here``: what the page says, and what is there instead."""
    shim = folder / "bin" / "vuer-trio"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m vuer_trio.cli "$@"\n')
    shim.chmod(0o755)
    path = f"{shim.parent}{os.pathsep}{os.environ['PATH']}"
    status = 0
    for shown in commands_of(block):
        command = f"echo {status}" if shown.command == "echo $?" else shown.command
        for name, address in here.items():
            command = command.replace(name, address)
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env={**os.environ, "PATH": path, "PYTHONIOENCODING": "utf-8", **environment},
            start_new_session=True,
        )
        with process:
            try:
                printed = list(_printed(process, shown.lines))
                status = process.wait(DEADLINE)
            finally:
                process.kill()
        for name, address in here.items():
            printed = [line.replace(address, name) for line in printed]
        wanted = [line for line in shown.lines if line != "^C"]
        assert matches(wanted, printed), (
            f"{block.name}: $ {shown.command}\n" + "\n".join(printed) + f"\nand not\n{wanted}"
        )


def _printed(process: subprocess.Popen[str], shown: list[str]) -> Iterator[str]:
    assert process.stdout is not None
    if "^C" in shown:
        for _ in range(shown.index("^C")):
            yield process.stdout.readline().rstrip("\n")
        os.killpg(process.pid, signal.SIGINT)
    for line in process.communicate(timeout=DEADLINE)[0].splitlines():
        yield line.rstrip()
