"""The command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .findings import Finding, Kind
from .imports import changed, changes
from .reading import read
from .redirect import run

__all__ = ["DESCRIPTION", "add_arguments", "execute", "main"]

DESCRIPTION = """\
Read a program written for `vuer` and say, line by line, what differs under `vuer_trio`:

  import      the statement with its root changed
  cannot run  what would raise, and what to use
  differs     what runs and does something else
  better      what is lost or silent there, and is not here

The exit status is 1 if something cannot run. The program is read, not run, unless with --run."""

_FAILED, _USAGE = 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument("program", metavar="PROGRAM.py", help="the program")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--run", action="store_true", help="run it, unchanged: in it, vuer is vuer_trio"
    )
    what.add_argument("--write", action="store_true", help="change its imports, in place")
    rest = parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="of the program, with --run, which comes first"
    )
    rest.required = False


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status; wrong arguments raise SystemExit(2)."""
    parser = argparse.ArgumentParser(
        prog="python -m vuer_trio.port",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_arguments(parser)
    return execute(parser.parse_args(arguments))


def execute(args: argparse.Namespace) -> int:
    """Do what the arguments say."""
    try:
        source = Path(args.program).read_text("utf-8")
        findings = read(source, args.program)
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        print(f"vuer-trio: {args.program} cannot be read: {why}", file=sys.stderr)
        return _USAGE
    if args.run:
        run(args.program, args.arguments)
        return 0
    if args.arguments:
        print("vuer-trio: arguments of the program need --run", file=sys.stderr)
        return _USAGE
    for finding in findings:
        print(_line(args.program, finding))
    _summarise(args.program, source, findings)
    if args.write:
        Path(args.program).write_text(changed(source), "utf-8")
    return _FAILED if any(finding.kind is Kind.STOPS for finding in findings) else 0


def _line(program: str, finding: Finding) -> str:
    return f"{program}:{finding.line}: {finding.kind.value + ':':<11} {finding.text}"


def _summarise(program: str, source: str, findings: Sequence[Finding]) -> None:
    imports, stops = (
        sum(finding.kind is kind for finding in findings) for kind in (Kind.IMPORT, Kind.STOPS)
    )
    if not imports:
        print(f"{program}: imports nothing of vuer")
        return
    from .backend import backend_of, neighbours  # not for --help: they need the server's modules

    if "Vuer(" in source:
        backend, reason = backend_of(source, Path(program))
        print(f"{program}: runs on {backend}: {reason}")
    for file, tree in neighbours(source, Path(program)):
        if changes(tree, file.read_text("utf-8")):
            print(f"{program}: {file.name}, which it imports, imports vuer as well: read that, too")
    what = f"{imports} import{'s' * (imports != 1)} to change"
    print(f"{program}: {what}, {stops or 'nothing'} that cannot run")
