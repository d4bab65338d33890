"""The page about the command line lists what `--help` does."""

from __future__ import annotations

from tests.docs.command_reference import PAGE, listed, reference
from vuer_trio.cli.parsing import COMMANDS


def test_the_page_lists_all_arguments():
    assert listed() == reference(), "python -m tests.docs.command_reference writes it"


def test_the_page_describes_all_commands():
    text = PAGE.read_text("utf-8")
    for name in COMMANDS:
        assert f"`vuer-trio {name}`" in text
