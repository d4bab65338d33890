"""The parser of all commands, and the function behind the command ``vuer-trio``."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from .._formatting import HIDDEN, shown_uri
from .json_text import printable
from .output import Output
from .running import Command, run_command
from .statuses import EPILOG, Status

__all__ = ["COMMANDS", "build_parser", "main"]

#: in the order of the help; each is a file of this package
COMMANDS = ("listen", "send", "ping", "record", "replay", "serve", "doctor")

_DESCRIPTION = """\
Talk to Vuer servers from the command line.
`vuer-trio COMMAND --help` says more of each command."""
_NEEDED = "rich"


def main(arguments: Sequence[str] | None = None) -> int:
    """See `vuer_trio.cli.main`."""
    try:
        return _main(arguments)
    finally:
        _leave_stdout()


def _main(arguments: Sequence[str] | None) -> int:
    parser = build_parser()
    try:
        args = parser.parse_args(arguments)
    except BrokenPipeError:  # of the help; newer versions of argparse swallow it
        return Status.PIPE_CLOSED
    if args.command is None:
        parser.print_help(sys.stderr)
        return Status.USAGE
    try:  # only now: the help needs nothing
        importlib.import_module(_NEEDED)
    except ImportError:
        if sys.stderr is not None:
            print(
                f"vuer-trio: this needs the package {_NEEDED}: pip install 'vuer-trio[cli]'",
                file=sys.stderr,
            )
        return Status.FAILED
    out = Output()
    logging.basicConfig(format="%(message)s", handlers=[_Remarks(out)], level=logging.WARNING)
    if args.verbose:
        logging.getLogger("vuer_trio").setLevel(logging.INFO)
    return run_command(_command(args.command), args, out)


class _Remarks(logging.Handler):
    """What the library logs, among what the command says on stderr."""

    def __init__(self, out: Output) -> None:
        super().__init__()
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            self._out.remark((f"{record.levelname.lower()}: ", "yellow"), printable(line))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """What is not understood may be a URI with a password, or the value of a header."""
        what, colon, told = message.partition("unrecognized arguments: ")
        if colon:
            told = re.sub(r"(?<!\S)(-[^\s=]+)(?:=|\s+(?!-)).*?(?=\s-|$)", rf"\1 {HIDDEN}", told)
        told = re.sub(r"\S+(//|@)\S+", lambda found: shown_uri(found[0]), what + colon + told)
        super().error(told)


def build_parser() -> argparse.ArgumentParser:
    """The parser of everything. ``args.command`` is the name of the command, or None."""
    parser = _Parser(
        prog="vuer-trio",
        description=_DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vuer-trio {_version()}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name in COMMANDS:
        command = _command(name)
        sub = commands.add_parser(
            name,
            help=command.HELP,
            description=command.DESCRIPTION,
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.set_defaults(command=name)
        command.add_arguments(sub)
        sub.add_argument("-v", "--verbose", action="store_true", help="say more, on stderr")
    return parser


def _command(name: str) -> Command:
    module: Command = importlib.import_module(f".{name}", __package__)
    return module


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("vuer-trio")
    except PackageNotFoundError:
        return "unknown"


def _leave_stdout() -> None:
    """Flush it now: at the interpreter's end a closed pipe would be told to the user."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
