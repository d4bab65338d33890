"""How a command ends whose nurseries wrap what they raise."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import pytest
import trio

from vuer_trio._errors import ConnectionFailed
from vuer_trio.cli.output import Output, PipeClosed
from vuer_trio.cli.running import run_command
from vuer_trio.cli.statuses import CommandFailed, Status


def ended(error: BaseException, depth: int, endless: bool = False) -> int:
    """The exit status of a command that raises ``error`` from that many nurseries."""

    async def raises(left: int) -> int:
        if not left:
            raise error
        async with trio.open_nursery():
            return await raises(left - 1)

    command = SimpleNamespace(endless=lambda args: endless, run=lambda args, out: raises(depth))
    return run_command(command, argparse.Namespace(), Output("never", quiet=False))


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_what_was_expected_is_one_line(depth, capsys):
    failed = ConnectionFailed("no route to it", uri="ws://robot:8012")
    assert ended(CommandFailed("it is full", Status.FAILED), depth) == Status.FAILED
    assert ended(failed, depth) == Status.NO_CONNECTION
    assert ended(FileNotFoundError(2, "No such file", "/nowhere"), depth) == Status.FAILED
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "vuer-trio: it is full",
        f"vuer-trio: {failed}",
        "`vuer-trio doctor ws://robot:8012` looks for the reason.",
        "vuer-trio: /nowhere: No such file",
    ]


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_reader_that_has_gone_is_no_failure(depth, capsys):
    assert ended(PipeClosed(), depth) == Status.PIPE_CLOSED
    assert ended(PipeClosed(), depth, endless=True) == Status.DONE
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("depth", [0, 1])
def test_a_bug_is_shown_as_it_was_raised(depth):
    with pytest.raises(ZeroDivisionError):
        ended(ZeroDivisionError(), depth)
