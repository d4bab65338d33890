"""The main function of ``vuer-trio``."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .parsing import COMMANDS, build_parser, module_of
from .statuses import Status

if TYPE_CHECKING:
    from .output import Output

__all__ = ["COMMANDS", "build_parser", "main"]

_NEEDED = "rich"


def main(arguments: Sequence[str] | None = None) -> int:
    """See `vuer_trio.cli.main`."""
    _escape_what_cannot_be_encoded()
    try:
        status = _main(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as exc:  # of the parser, for a help or an error
        if (lost := _flush()) is not None:
            raise SystemExit(lost) from None
        raise exc
    except BrokenPipeError:  # nothing can be said there any more
        _drop_stdout()
        return Status.PIPE_CLOSED
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    except OSError as exc:  # of stdout: a full disk
        return _lost(exc)
    lost = _flush()
    return status if lost is None else lost


def _main(arguments: Sequence[str]) -> int:
    parser = build_parser(set(arguments).intersection(COMMANDS))
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help(sys.stderr)
        return Status.USAGE
    if args.finish is not None:
        args.finish(args)
    command = module_of(args.command)
    if hasattr(command, "execute"):  # it needs neither rich nor a loop
        if args.verbose:
            logging.basicConfig(format="%(message)s", level=_level(args))
        return int(command.execute(args))
    try:  # not earlier: --help needs no packages
        importlib.import_module(_NEEDED)
    except ImportError:
        _say(f"this needs the package {_NEEDED}: pip install 'vuer-trio[cli]'")
        return Status.FAILED
    from .output import Output
    from .running import run_command

    out = Output(args.color, quiet=args.quiet)
    _log_to(out, args)
    return run_command(command, args, out)


def _log_to(out: Output, args: argparse.Namespace) -> None:
    """The library's log on stderr: warnings, with -q errors only, with -v more."""
    from .log import Remarks

    level = logging.ERROR if args.quiet else logging.WARNING
    logging.basicConfig(format="%(message)s", handlers=[Remarks(out)], level=level)
    if args.verbose:
        logging.getLogger("vuer_trio").setLevel(_level(args))


def _level(args: argparse.Namespace) -> int:
    return logging.INFO if args.verbose == 1 else logging.DEBUG


def _say(text: str) -> None:
    if sys.stderr is not None:
        print(f"vuer-trio: {text}", file=sys.stderr)


def _escape_what_cannot_be_encoded() -> None:
    """In a locale without UTF-8 a character is escaped, and ends nothing."""
    for file in (sys.stdout, sys.stderr):
        if isinstance(file, io.TextIOWrapper) and file in (sys.__stdout__, sys.__stderr__):
            file.reconfigure(errors="backslashreplace")


def _flush() -> Status | None:
    """Flush stdout now: at exit, Python would report a closed pipe. Returns the status of that, or
    of what could not be written; None if all is well."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        return Status.PIPE_CLOSED
    except OSError as exc:  # a full disk
        return _lost(exc)
    except ValueError:  # a closed file
        return None
    return None


def _lost(error: OSError) -> Status:
    _drop_stdout()
    _say(f"the output could not be written: {error.strerror or error}")
    return Status.FAILED


def _drop_stdout() -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
