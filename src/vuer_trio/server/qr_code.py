"""A QR code at a terminal, for a headset's or a phone's camera."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import TextIO

__all__ = ["coloured", "qr_code"]

#: white on black, whatever the colours of the terminal are: not all cameras take the reverse
_COLOURS, _RESET = "\x1b[97;40m", "\x1b[0m"


def qr_code(text: str, out: TextIO) -> list[str]:
    """The lines of a code for ``out``; none if that is not a terminal, is too narrow for it, or has
    no block characters. Raises ImportError without the extra ``headset``."""
    if not out.isatty():
        return []
    try:
        import segno
    except ImportError as error:
        raise ImportError("a QR code needs segno: pip install 'vuer-trio[headset]'") from error
    drawn = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(drawn, border=2, compact=True)
    lines = drawn.getvalue().splitlines()
    try:
        drawn.getvalue().encode(out.encoding or "ascii")
        columns = os.get_terminal_size(out.fileno()).columns
    except (UnicodeEncodeError, LookupError, OSError):
        return []
    if max(map(len, lines)) > (columns or 80):
        return []
    return lines


def coloured(lines: Iterable[str]) -> list[str]:
    """The same, for a terminal that shows colours."""
    return [f"{_COLOURS}{line}{_RESET}" for line in lines]
