"""The terminal: lines typed at a prompt, while others are printed above it.

Without a terminal, lines are read from a pipe and printed plainly.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from threading import Thread
from typing import Any

from .._connection.policies import Fifo
from .._connection.queue import Queue
from .._runtime import Runtime
from .errors import needed
from .formatting import Line

__all__ = ["Terminal"]

_PROMPT = "> "


class Terminal:
    """``with terminal.open():``, then `read` lines and `show` lines. Runs on asyncio."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._interactive = sys.stdin.isatty()
        self._colours = sys.stdout.isatty()
        self._console: Any = None
        self._keyboard: Any = None
        self._session: Any = None
        self._piped: Queue[bytes] | None = None

    def open(self) -> AbstractContextManager[Any]:
        """While it is open, what is printed does not disturb what is being typed."""
        if self._interactive:
            self._keyboard = needed("prompt_toolkit.input", "cli").create_input()
            # Else the terminal is cooked while a line is printed, and keeps a Ctrl-D to itself.
            self._keyboard.cooked_mode = nullcontext
            # The line is shown again when the server has it.
            self._session = needed("prompt_toolkit", "cli").PromptSession(
                _PROMPT, erase_when_done=True, input=self._keyboard
            )
            opened = needed("prompt_toolkit.patch_stdout", "cli").patch_stdout(raw=True)
        else:
            opened = nullcontext()
        return _Opened(self, opened)

    def _start(self) -> None:
        # Made when stdout is what it is to be.
        self._console = needed("rich.console", "cli").Console(
            file=sys.stdout,
            force_terminal=self._colours,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=True,
        )

    def typing(self) -> AbstractContextManager[Any]:
        """While it is open, every key is kept for the next `read`, Ctrl-C and Ctrl-D too."""
        return self._keyboard.raw_mode() if self._keyboard else nullcontext()

    async def read(self) -> str:
        """The next line. Raises EOFError at the end, KeyboardInterrupt for Ctrl-C."""
        if self._session is not None:
            return str(await self._session.prompt_async())
        if self._piped is None:
            self._piped = Fifo().open(self._rt)
            call = self._rt.loop_caller()
            Thread(target=_read_pipe, args=(call, self._piped), daemon=True).start()
        while not self._piped.items:
            await self._piped.arrival()
        line = self._piped.pop()
        if not line:
            raise EOFError
        return line.decode(errors="replace").rstrip("\r\n")

    def show(self, line: Line) -> None:
        """Print a line above the prompt, in colours if stdout is a terminal."""
        text = needed("rich.text", "cli").Text
        self._console.print(text.assemble(*line))
        sys.stdout.flush()


class _Opened:
    def __init__(self, terminal: Terminal, inner: AbstractContextManager[Any]) -> None:
        self._terminal, self._inner = terminal, inner

    def __enter__(self) -> None:
        self._inner.__enter__()
        self._terminal._start()

    def __exit__(self, *exc: Any) -> None:
        self._inner.__exit__(*exc)


def _read_pipe(call: Any, box: Queue[bytes]) -> None:
    """In a thread of its own, which nobody can interrupt, and which keeps no program alive."""
    line = b"-"
    while line:
        line = sys.stdin.buffer.readline()
        try:
            call(lambda line=line: box.put(line))
        except RuntimeError:  # the loop has ended
            return
