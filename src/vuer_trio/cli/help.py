"""``vuer-trio help``: the help of a command."""

from __future__ import annotations

import argparse

from .parsing import COMMANDS, build_parser
from .statuses import Status

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "execute"]

HELP = "show the help of a command"
DESCRIPTION = """\
Show the help of a command, as `vuer-trio COMMAND --help` does, or without one the list of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `PlainCommand`."""
    parser.add_argument(
        "topic",
        nargs="?",
        choices=COMMANDS,
        metavar="COMMAND",
        help="the command (default: list all of them)",
    )


def execute(args: argparse.Namespace) -> int:
    """See `PlainCommand`."""
    if args.topic is None:
        build_parser(()).print_help()
    else:
        build_parser((args.topic,)).parse_args([args.topic, "--help"])
    return Status.DONE
