"""The command ``vuer-trio``.

    program.py      the parser of all commands, and `main`
    running.py      a command's life: Ctrl-C, SIGTERM, a closed pipe, errors → an exit status
    statuses.py     the exit statuses
    output.py       where things are written: a terminal, or a pipe
    connection.py   the options of a connection
    listen.py ...   one file for each command

A command's file has ``HELP`` (a line), ``DESCRIPTION``, ``add_arguments(parser)``,
``endless(args)`` (whether only Ctrl-C ends it) and ``async run(args, out)``, which returns an exit
status. It is imported for every ``--help``: what is large is imported in ``run``.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit status; wrong arguments raise SystemExit(2)."""
    from .program import main

    return main(arguments)
