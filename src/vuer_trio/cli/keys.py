"""Single keys, pressed at a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import trio

__all__ = ["has_keys", "pressed", "single_keys"]

#: escape sequences, in both modes of a terminal
_NAMES: Final = {
    f"\x1b{mode}{letter}": name
    for mode in "[O"
    for letter, name in {"A": "up", "B": "down", "C": "right", "D": "left"}.items()
}


def has_keys() -> bool:
    """Whether single keys can be read: stdin is a terminal, with this process in the foreground."""
    try:
        import termios  # noqa: F401

        descriptor = sys.stdin.fileno()
        return os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
    except (ImportError, AttributeError, OSError, ValueError):  # Windows, or a closed stdin
        return False


@contextmanager
def single_keys() -> Iterator[None]:
    """Have the terminal pass on single keys, without showing them; Ctrl-C keeps its meaning."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


async def pressed() -> AsyncIterator[str]:
    """Yield keys: characters, and ``left``, ``right``, ``up`` and ``down``.

    It ends with stdin. Cancelled: no key is lost that was not read.
    """
    descriptor = sys.stdin.fileno()
    waiting = ""
    while True:
        await trio.lowlevel.wait_readable(descriptor)
        try:
            data = os.read(descriptor, 1024)
        except OSError:  # the terminal has gone
            return
        if not data:
            return
        waiting += data.decode("utf-8", "replace")
        while waiting:
            key, waiting = _first_key(waiting)
            if key is None:
                break
            yield key


def _first_key(text: str) -> tuple[str | None, str]:
    """The first key, and what follows it; None if it is not complete."""
    for sequence, name in _NAMES.items():
        if text.startswith(sequence):
            return name, text[len(sequence) :]
    if text in ("\x1b", "\x1b[", "\x1bO"):
        return None, text
    return text[0], text[1:]
