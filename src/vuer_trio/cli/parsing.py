"""The parser of all commands."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from .._command_line.colours import add_color
from .._command_line.parser import Parser
from .._command_line.version import add_version
from .statuses import EPILOG

__all__ = ["COMMANDS", "Described", "build_parser", "module_of"]

#: in the order of the help; each is a module of this package
COMMANDS = (
    *("listen", "send", "ping", "top", "record", "replay", "info", "export", "proxy", "serve"),
    *("cert", "doctor", "port", "completion", "help"),
)

_DESCRIPTION = """\
Talk to Vuer servers from the command line.

`vuer-trio help COMMAND` describes each command. The address of a server is the first argument of \
each command that connects to one; without it, VUER_CLIENT_URI, or else ws://localhost:8012."""
_HELP_LINE = re.compile(r"^HELP = (.+)$", re.M)


class Described(Protocol):
    """The module of a command, for the parser."""

    HELP: str
    DESCRIPTION: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of the command to its parser."""


def module_of(command: str) -> Any:
    """Import the module of a command."""
    return importlib.import_module(f".{command}", __package__)


def build_parser(commands: Collection[str] = COMMANDS) -> Parser:
    """Build the parser, with the arguments of the given commands; of others it has the names.

    Imports the modules of those commands alone. ``args.command`` is the name of the command, or
    None.
    """
    parser = Parser(prog="vuer-trio", description=_DESCRIPTION, epilog=EPILOG)
    add_version(parser)
    _add_common(parser, top=True)
    parser.set_defaults(command=None, finish=None)
    added = parser.add_subparsers(metavar="COMMAND", title="commands", prog=parser.prog)
    for name in COMMANDS:
        if name not in commands:
            added.add_parser(name, help=_help_line(name)).set_defaults(command=name)
            continue
        command: Described = module_of(name)
        sub = added.add_parser(
            name, help=command.HELP, description=command.DESCRIPTION, epilog=EPILOG
        )
        sub.set_defaults(command=name)
        command.add_arguments(sub)
        for action in sub._actions:
            if getattr(action.type, "__name__", "") == "seconds":  # of `connection`
                action.metavar = "TIME"
        _add_common(sub)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, top: bool = False) -> None:
    """``-q``, ``-v`` and ``--color``, before the command and behind it.

    Behind it they have no default, which would overrule what is before it.
    """
    default: Any = argparse.SUPPRESS
    there = parser._option_string_actions
    for option in ("--quiet", "--verbose"):  # of the command itself, with a help of its own
        if option in there:
            there[option].default = default
    if "--quiet" not in there:
        parser.add_argument(
            *("-q", "--quiet"),
            action="store_true",
            default=False if top else default,
            help="no remarks and no progress on stderr, only errors",
        )
    if "--verbose" not in there:
        parser.add_argument(
            *("-v", "--verbose"),
            action="count",
            default=0 if top else default,
            help="more details on stderr; -vv for still more",
        )
    add_color(parser, "auto" if top else default)


def _help_line(command: str) -> str:
    """HELP of a command's module, which is read and not imported: `--help` shows it of each."""
    try:
        found = _HELP_LINE.search(Path(__file__).with_name(f"{command}.py").read_text("utf-8"))
        return str(ast.literal_eval(found[1])) if found else str(module_of(command).HELP)
    except (OSError, SyntaxError, ValueError):  # no source here, or not a plain string
        return str(module_of(command).HELP)
