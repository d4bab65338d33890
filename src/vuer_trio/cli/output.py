"""Where a command writes: lines on stdout, remarks on stderr; in colours at a terminal only.

What goes into a pipe is plain, and written by `os.write`: nobody holds a lock when the program
leaves while a reader stands still.
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

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

__all__ = ["Output", "Part", "PipeClosed", "mode_of", "plain_text"]

#: seconds for the reader of a pipe to take a last line
_PATIENCE = 1.0
#: text, or text and a style of rich's
Part = str | tuple[str, str]


class PipeClosed(Exception):
    """Nobody reads stdout any more."""


class Output:
    """Stdout and stderr.

    ``terminal`` and ``error_terminal``: whether they are terminals. Writing to stdout raises
    PipeClosed when its reader has gone.
    """

    def __init__(self) -> None:
        self.terminal: bool = _is_terminal(sys.stdout)
        self.error_terminal: bool = _is_terminal(sys.stderr)
        #: NO_COLOR, see no-color.org
        self._styled = not os.environ.get("NO_COLOR")
        #: whether the reader of stdout has gone: then there is nothing to be said any more
        self.abandoned: bool = False
        #: whether all has been written: then its reader may go, and the command still succeeds
        self.finished = False
        self._live = False
        self._consoles: dict[bool, Console] = {}

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return self._console(False).width

    # ---- stdout

    def line(self, *parts: Part) -> None:
        """Print one line."""
        if self.terminal:
            self._print(False, parts)
        else:
            self._write(plain_text(parts) + "\n")

    def lines(self, lines: Sequence[Sequence[Part]]) -> None:
        """Print several lines in one go, at a terminal."""
        if lines:
            parts = [part for line in lines for part in (*line, "\n")]
            self._print(False, parts[:-1])

    async def write_text(self, text: str) -> None:
        """Write text that may be long to a stdout that may be a pipe that nobody empties.

        Cancelled: what has begun is finished, if the reader takes it within a second.
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
    def live(self) -> Iterator[Live | None]:
        """A changing text below the lines, at a terminal: ``live.update(what, refresh=True)``."""
        if not self.terminal or self._console(False).is_dumb_terminal:
            yield None
            return
        from rich.live import Live

        with Live(console=self._console(False), auto_refresh=False, transient=True) as live:
            self._live = True
            try:
                yield live
            finally:
                self._live = False

    def styled(self, text: str, style: str) -> Text:
        """For what `live` shows."""
        from rich.text import Text

        return Text(text, style if self._styled else "")

    # ---- stderr

    def remark(self, *parts: Part) -> None:
        """Print one line on stderr."""
        if self.error_terminal:
            # What `live` shows has to make room for it.
            self._print(not self._live, parts)
        elif sys.stderr is not None:
            try:
                _write_all(sys.stderr, plain_text(parts) + "\n")
            except OSError:
                return  # nobody is there to be told

    def end_line(self) -> None:
        """After a Ctrl-C, which the terminal has shown where the cursor was."""
        if self.error_terminal and not self._live:
            self.remark()

    def complain(self, text: str) -> None:
        """Say on stderr what is wrong."""
        self.remark(("vuer-trio: ", "bold red"), text)

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[str], None]]:
        """A spinner on stderr while something takes long, at a terminal; the function changes
        its text."""
        if not self.error_terminal or self._console(True).is_dumb_terminal:
            yield lambda text: None
            return
        style = "cyan" if self._styled else "none"
        with self._console(True).status(text, spinner_style=style) as status:
            yield status.update

    def saving(self, text: str) -> AbstractContextManager[Callable[[str], None]]:
        """As `working`, but only while stdout goes to a file: else it shows how far things are."""
        kept = not self.terminal and stat.S_ISREG(mode_of(sys.stdout))
        return self.working(text) if kept else nullcontext(lambda text: None)

    # ---- inside

    def _print(self, error: bool, parts: Sequence[Part]) -> None:
        from rich.text import Text

        text = Text(plain_text(parts)) if not self._styled else Text.assemble(*parts)
        self._console(error).print(text)

    def _console(self, error: bool) -> Console:
        if error not in self._consoles:
            from rich.console import Console

            self._consoles[error] = Console(
                file=sys.stderr if error else sys.stdout,
                force_terminal=self.error_terminal if error else self.terminal,
                no_color=not self._styled,
                markup=False,
                highlight=False,
                emoji=False,
                soft_wrap=True,
            )
        return self._consoles[error]


def plain_text(parts: Iterable[Part]) -> str:
    """Without the styles."""
    return "".join(part if isinstance(part, str) else part[0] for part in parts)


def _is_terminal(file: TextIO | None) -> bool:
    try:
        return file is not None and file.isatty()
    except ValueError:  # it is closed
        return False


def mode_of(file: TextIO | None) -> int:
    """Of what kind it is, for `stat`; 0 if it is not the system's."""
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
    except (OSError, ValueError):  # not a file of the system's
        file.write(text)
        return
    file.flush()
    while data:
        data = data[os.write(descriptor, data) :]
