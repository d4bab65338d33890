"""The terminal: a prompt, with output printed above it.

Without a terminal, lines are read from a pipe; errors go to stderr, and all else to stdout.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from threading import Thread
from typing import Any, TextIO

from .._command_line.colours import ansi, coloured, is_terminal, plain_text
from .._connection.policies import Fifo
from .._connection.queue import Queue
from .._runtime import Runtime
from .errors import needed
from .formatting import Line

__all__ = ["Terminal"]


def _nothing(text: str) -> Iterable[tuple[str, int]]:
    return ()


class Terminal:
    """``with terminal.open():``, then `read` lines and `show` lines. Runs on asyncio.

    ``color`` is the value of ``--color``; ``complete`` what the Tab key offers, see `prompt`.
    """

    def __init__(
        self,
        rt: Runtime,
        color: str = "auto",
        complete: Callable[[str], Iterable[tuple[str, int]]] = _nothing,
    ) -> None:
        self._rt = rt
        self._complete = complete
        #: whether lines are typed
        self.interactive: bool = is_terminal(sys.stdin)
        #: whether stdout cannot be written any more
        self.broken: bool = False
        self._shown = is_terminal(sys.stdout)
        self._coloured = (coloured(sys.stdout, color), coloured(sys.stderr, color))
        self._out: TextIO | None = sys.stdout
        self._console: Any = None
        self._keyboard: Any = None
        self._session: Any = None
        self._piped: Queue[bytes] | None = None

    def open(self) -> AbstractContextManager[Any]:
        """A context in which output does not disturb what is being typed."""
        if self.interactive:
            from .prompt import new_prompt

            self._keyboard = needed("prompt_toolkit.input", "cli").create_input()
            # Otherwise, the terminal is in cooked mode while a line is printed, and consumes a
            # Ctrl-D.
            self._keyboard.cooked_mode = nullcontext
            self._session = new_prompt(self._keyboard, self._complete)
            opened = needed("prompt_toolkit.patch_stdout", "cli").patch_stdout(raw=True)
        else:
            opened = nullcontext()
        return _Opened(self, opened)

    def _start(self) -> None:
        if not self._shown:
            return  # lines go to stdout as it is, not above a prompt
        # Created when stdout has been patched.
        styled = self._coloured[False]
        self._console = needed("rich.console", "cli").Console(
            file=sys.stdout,
            force_terminal=True,
            color_system="standard" if styled and os.environ.get("TERM") == "dumb" else "auto",
            no_color=not styled,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=True,
        )

    def typing(self) -> AbstractContextManager[Any]:
        """A context that keeps all keys, Ctrl-C and Ctrl-D included, for the next `read`."""
        return self._keyboard.raw_mode() if self._keyboard else nullcontext()

    async def read(self) -> str:
        """Read a line. Raises EOFError at the end, and when nobody reads stdout any more;
        KeyboardInterrupt for Ctrl-C."""
        if self.broken:
            raise EOFError
        if self._session is not None:
            return str(await self._session.prompt_async())
        if self._piped is None:
            self._piped = Fifo().open(self._rt)
            call = self._rt.loop_caller()
            Thread(target=_read_pipe, args=(call, self._piped), daemon=True).start()
        while not self._piped.items:
            await self._piped.arrival()
        line = self._piped.pop()
        if not line or self.broken:
            raise EOFError
        return line.decode(errors="replace").rstrip("\r\n")

    def show(self, line: Line) -> None:
        """Print a line on stdout, at a terminal above the prompt."""
        if self._console is None:
            self._write(ansi(line) if self._coloured[False] else plain_text(line))
            return
        text = needed("rich.text", "cli").Text
        styled = self._coloured[False]
        self._console.print(text.assemble(*line) if styled else text(plain_text(line)))
        sys.stdout.flush()

    def complain(self, line: Line) -> None:
        """Print a line on stderr, or at a terminal above the prompt."""
        if self._console is not None and self.interactive:
            self.show(line)
        elif sys.stderr is not None:
            text = ansi(line) if self._coloured[True] else plain_text(line)
            print(text, file=sys.stderr, flush=True)

    def _write(self, text: str) -> None:
        if self._out is None or self.broken:
            return
        try:
            print(text, file=self._out, flush=True)
        except OSError:  # nobody reads it, or the disk is full
            self.broken = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())
            if self._piped is not None:
                self._piped.put(b"")  # wakes `read`


class _Opened:
    def __init__(self, terminal: Terminal, inner: AbstractContextManager[Any]) -> None:
        self._terminal, self._inner = terminal, inner

    def __enter__(self) -> None:
        self._inner.__enter__()
        self._terminal._start()

    def __exit__(self, *exc: Any) -> None:
        self._inner.__exit__(*exc)


def _read_pipe(call: Any, box: Queue[bytes]) -> None:
    """Read lines from a pipe, in a daemon thread, because reading cannot be interrupted."""
    line = b"-"
    while line:
        line = sys.stdin.buffer.readline()
        try:
            call(lambda line=line: box.put(line))
        except RuntimeError:  # the loop has ended
            return
