"""The output of a command: lines on stdout, messages on stderr, with colours where they are wanted.

Output to a pipe is written with `os.write`, so that no lock is held if the program exits while the
reader of the pipe is stuck. It has no colours unless somebody asks for them.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TextIO

import trio

from .._command_line.colours import Part, ansi, coloured, is_terminal, plain_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

__all__ = ["Output", "Part", "PipeClosed", "mode_of", "plain_text"]

#: seconds for the reader of a pipe to accept the last output
_PATIENCE = 1.0


class PipeClosed(Exception):
    """The reader of stdout has closed the pipe."""


class Output:
    """Writes to stdout and stderr.

    ``terminal`` and ``error_terminal`` tell whether these are terminals. Writing to stdout raises
    PipeClosed when its reader has closed it. ``color`` is the value of ``--color``; if ``quiet``,
    there are no remarks and no progress, only errors.
    """

    def __init__(self, color: str = "auto", *, quiet: bool = False) -> None:
        self.terminal: bool = is_terminal(sys.stdout)
        self.error_terminal: bool = is_terminal(sys.stderr)
        self.quiet: bool = quiet
        #: of stdout, and of stderr
        self._coloured = (coloured(sys.stdout, color), coloured(sys.stderr, color))
        #: whether the reader of stdout has closed it: then no messages are printed either
        self.abandoned: bool = False
        #: whether everything has been written: then a closed pipe is not a failure
        self.finished = False
        self._live = False
        self._consoles: dict[bool, Console] = {}

    @property
    def width(self) -> int:
        """The number of columns of the terminal."""
        return self._console(False).width

    @property
    def ellipsis(self) -> str:
        """Stands for what is cut off, in one column."""
        return "…" if _has_unicode(sys.stdout) else "~"

    @property
    def error_width(self) -> int:
        """The number of columns of the terminal that stderr is."""
        return self._console(True).width

    # ---- stdout

    def line(self, *parts: Part) -> None:
        """Print one line."""
        if self.terminal:
            self._print(False, parts)
        else:
            self._write(self.text(parts) + "\n")

    def text(self, parts: Iterable[Part]) -> str:
        """The text of a line for `write_text`, with colours if they are wanted in a pipe."""
        return ansi(parts) if self._coloured[False] else plain_text(parts)

    def lines(self, lines: Sequence[Sequence[Part]]) -> None:
        """Print several lines at once, at a terminal."""
        if lines:
            parts = [part for line in lines for part in (*line, "\n")]
            self._print(False, parts[:-1])

    def table(self, table: Table) -> None:
        """Print a table, at a terminal."""
        self._console(False).print(table, soft_wrap=False)

    async def write_text(self, text: str) -> None:
        """Write text, which may be long, to stdout, which may be a pipe with a stuck reader.

        Cancelled: the current write is finished if the reader accepts it within a second.
        """
        written = threading.Event()

        def write() -> None:
            try:
                self._write(text)
            finally:
                written.set()

        try:
            await trio.to_thread.run_sync(write, abandon_on_cancel=True)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(written.wait, _PATIENCE)
            raise

    def _write(self, text: str) -> None:
        try:
            _write_all(sys.stdout, text)
        except BrokenPipeError:
            self.abandoned = True
            raise PipeClosed from None

    @contextmanager
    def live(self, *, screen: bool = False) -> Iterator[Live | None]:
        """Text that changes below the lines of a terminal: ``live.update(text, refresh=True)``.

        With ``screen`` it has the whole terminal, which shows again afterwards what it showed
        before. None where there is no terminal, or one that can do nothing.
        """
        if not self.terminal or self._console(False).is_dumb_terminal:
            yield None
            return
        from rich.live import Live

        console = self._console(False)
        with Live(console=console, auto_refresh=False, transient=not screen, screen=screen) as live:
            self._live = True
            try:
                yield live
            finally:
                self._live = False

    def styled(self, text: str, style: str) -> Text:
        """Styled text for `live`."""
        from rich.text import Text

        return Text(text, style if self._coloured[False] else "")

    # ---- stderr

    def remark(self, *parts: Part) -> None:
        """Print one line on stderr, unless ``--quiet``."""
        if not self.quiet:
            self.report(*parts)

    def report(self, *parts: Part) -> None:
        """Print one line on stderr."""
        if self.error_terminal:
            # `live` must move its text to make room.
            self._print(not self._live, parts)
        elif sys.stderr is not None:
            text = ansi(parts) if self._coloured[True] else plain_text(parts)
            try:
                _write_all(sys.stderr, text + "\n")
            except OSError:
                return  # stderr is closed

    def end_line(self) -> None:
        """Start a new line after a Ctrl-C, which the terminal shows as ^C at the cursor."""
        if self.error_terminal and not self._live:
            self.report()

    def complain(self, text: str) -> None:
        """Print an error on stderr, at a terminal wrapped between words."""
        parts = (("vuer-trio: ", "bold red"), text)
        if self.error_terminal:
            self._print(not self._live, parts, wrap=True)
        else:
            self.report(*parts)

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show a spinner on stderr, at a terminal. Yields a function that changes its text."""
        if self.quiet or not self.error_terminal or self._console(True).is_dumb_terminal:
            yield lambda text: None
            return
        style = "cyan" if self._coloured[True] else "none"
        spinner = "dots" if _has_unicode(sys.stderr) else "line"
        from rich.text import Text

        # Not as a str: that would be markup, in spite of `markup=False`, and a path may have [/x].
        console = self._console(True)
        with console.status(Text(text), spinner=spinner, spinner_style=style) as status:
            yield lambda text: status.update(Text(text))

    def saving(self, text: str) -> AbstractContextManager[Callable[[str], None]]:
        """Like `working`, but only if stdout is not a terminal, where output shows the progress."""
        kept = not self.terminal and stat.S_ISREG(mode_of(sys.stdout))
        return self.working(text) if kept else nullcontext(lambda text: None)

    # ---- internals

    def _print(self, error: bool, parts: Sequence[Part], *, wrap: bool = False) -> None:
        from rich.text import Text

        styled = self._coloured[error]
        text = Text.assemble(*parts) if styled else Text(plain_text(parts))
        self._console(error).print(text, soft_wrap=not wrap)

    def _console(self, error: bool) -> Console:
        if error not in self._consoles:
            from rich.console import Console

            styled = self._coloured[error]
            self._consoles[error] = Console(
                file=sys.stderr if error else sys.stdout,
                force_terminal=self.error_terminal if error else self.terminal,
                # colours for a dumb terminal, or in spite of NO_COLOR: somebody has asked for them
                color_system="standard" if styled and _is_dumb() else "auto",
                no_color=not styled,
                markup=False,
                highlight=False,
                emoji=False,
                soft_wrap=True,
            )
        return self._consoles[error]


def _is_dumb() -> bool:
    return os.environ.get("TERM", "") in ("dumb", "unknown")


def _has_unicode(file: TextIO | None) -> bool:
    encoding = getattr(file, "encoding", None) or ""
    return encoding.lower().replace("-", "").startswith("utf")


def mode_of(file: TextIO | None) -> int:
    """The mode of a file, for `stat`; 0 if it has no descriptor."""
    try:
        return 0 if file is None else os.fstat(file.fileno()).st_mode
    except (OSError, ValueError):
        return 0


def _write_all(file: TextIO | None, text: str) -> None:
    if file is None:
        return
    data = memoryview(text.encode(file.encoding or "utf-8", "backslashreplace"))
    try:
        descriptor = file.fileno()
    except (OSError, ValueError):  # a file without a descriptor
        file.write(text)
        return
    file.flush()
    while data:
        data = data[os.write(descriptor, data) :]
