"""Ctrl-C at many moments of many kinds of program: only KeyboardInterrupt leaves them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "interrupt_program.py"
MOMENTS = 40

ASYNC = [
    *("streams", "comes_and_goes", "connects", "reconnects", "serves", "serves_in_a_nursery"),
    *("agent", "relay", "chats", "chats_on", "records"),
]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("program", "backend", "by"),
    [
        *((program, backend, "lines") for program in ASYNC for backend in ("trio", "asyncio")),
        # a condition of the threading module's is torn by a signal at one of its lines
        ("blocks", "trio", "time"),
    ],
)
def test_only_keyboard_interrupt_leaves_a_program(program, backend, by):
    done = subprocess.run(
        [sys.executable, str(PROGRAM), program, backend, str(MOMENTS), "12", by],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{program} on {backend}: {MOMENTS} times KeyboardInterrupt\n"
