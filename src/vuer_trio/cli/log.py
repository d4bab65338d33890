"""The library's log, on stderr."""

from __future__ import annotations

import logging

from .json_text import printable
from .output import Output

__all__ = ["Remarks"]

_STYLES = {logging.ERROR: "bold red", logging.WARNING: "bold magenta"}


class Remarks(logging.Handler):
    """Prints the library's log messages on stderr, like those of the command."""

    def __init__(self, out: Output) -> None:
        super().__init__()
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        """Print each line of a record."""
        head = (f"{record.levelname.lower()}: ", _STYLES.get(record.levelno, "dim"))
        for line in self.format(record).splitlines():
            self._out.report(head, printable(line))
