"""Ctrl-C at many moments of many kinds of program: only KeyboardInterrupt leaves them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import ROOT
from tests.recording_files import need_mcap
from tests.repetitions import sample, times

MOMENTS = times(6, 40)
SEED = 12 + sample()

ASYNC = [
    *("streams", "comes_and_goes", "connects", "reconnects", "serves", "serves_in_a_nursery"),
    *("agent", "relay", "chats", "chats_on", "records"),
]


#: one of the two usually, by chance
BACKENDS = [
    pytest.param(
        program,
        backend,
        "lines",
        marks=[pytest.mark.thorough] if (n + other + sample()) % 2 else [],
    )
    for n, program in enumerate(ASYNC)
    for other, backend in enumerate(("trio", "asyncio"))
]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("program", "backend", "by"),
    [
        *BACKENDS,
        # a condition of the threading module's is torn by a signal at one of its lines
        ("blocks", "trio", "time"),
    ],
)
def test_only_keyboard_interrupt_leaves_a_program(program, backend, by):
    if program == "records":
        need_mcap()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.programs.interrupted",
            program,
            backend,
            str(MOMENTS),
            str(SEED),
            by,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{program} on {backend}: {MOMENTS} times KeyboardInterrupt\n"
