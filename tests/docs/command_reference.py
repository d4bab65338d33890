"""The arguments of every command, as `docs/command_line.md` lists them.

The page is to say what ``--help`` says. `python -m tests.docs.command_reference` writes it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator

from tests import ROOT
from vuer_trio.cli.parsing import COMMANDS, build_parser

__all__ = ["PAGE", "listed", "reference"]

PAGE = ROOT / "docs" / "command_line.md"
BEGIN, END = "<!-- what the help says begins here -->\n", "<!-- what the help says ends here -->\n"
#: options with tables of their own
_COMMON = {"--help", "--quiet", "--verbose", "--color", "--version"}
_CONNECTION = "connection"
_TIMEOUT = 10.0


def reference() -> str:
    """The part of the page between BEGIN and END."""
    parser = build_parser()
    commands = next(a.choices for a in parser._actions if a.nargs == argparse.PARSER)
    parts = ["\n### Every command\n", *_table(a for a in parser._actions if a.option_strings)]
    parts += ["\n### Every command that connects\n", *_table(_connection(commands["listen"]))]
    for name in COMMANDS:
        parts += ["", *_section(name, commands[name])]
    return "\n".join(parts) + "\n\n"


def listed() -> str:
    """What the page has there."""
    return PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def _section(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    usage = " ".join(parser.format_usage().split()).removeprefix("usage: ")
    yield f"### vuer-trio {name}\n"
    yield f"`{usage}`\n"
    apart = {id(action) for action in _connection(parser)}
    own = [
        action
        for action in parser._actions
        if id(action) not in apart and not _COMMON & set(action.option_strings)
    ]
    yield from _table(own)
    if apart:
        timeout = parser.get_default("timeout")
        less = "" if timeout == _TIMEOUT else f"; without `--timeout`, it waits {timeout:g} s"
        where = "[options of a connection](#every-command-that-connects)"
        yield f"\nIt takes the {where}, too{less}."


def _connection(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    groups = [group for group in parser._action_groups if group.title == _CONNECTION]
    return [action for group in groups for action in group._group_actions]


def _table(actions: Iterable[argparse.Action]) -> Iterator[str]:
    rows = [f"| {_name(action)} | {_help(action)} |" for action in actions]
    if rows:
        yield "| | |\n|---|---|"
        yield from rows


def _name(action: argparse.Action) -> str:
    """As in the help: the names, with the value."""
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = action.metavar or action.dest.upper()
    if action.choices is not None and action.metavar is None:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    if action.nargs == "+":
        value = f"{value} [{value} ...]"
    names = ", ".join(action.option_strings)
    return f"`{names}`" if action.nargs == 0 else f"`{names} {value}`"


def _help(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": "vuer-trio"}
    return re.sub(r"([|<>])", r"\\\1", text)


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{reference()}{END}{after}", "utf-8")
