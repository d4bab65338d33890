"""The command ``vuer-trio``.

    program.py      the parser of all commands, and `main`
    running.py      runs a command: Ctrl-C, SIGTERM, a closed pipe, errors → an exit status
    statuses.py     the exit statuses
    output.py       writing to a terminal or a pipe
    connection.py   the options of a connection
    listen.py ...   one file for each command

A command's file has ``HELP`` (a line), ``DESCRIPTION``, ``add_arguments(parser)``,
``endless(args)`` (whether only Ctrl-C ends it) and ``async run(args, out)``, which returns an exit
status. It is imported for every ``--help``, so large modules are imported in ``run``. ``port`` has
``execute(args)`` instead: it needs no packages, and the program that it runs has its own loop.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status. Invalid arguments raise SystemExit(2)."""
    from .program import main

    return main(arguments)
