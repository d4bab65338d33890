"""Whether a command writes colours: one rule for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["CHOICES", "Part", "add_color", "ansi", "coloured", "is_terminal", "plain_text"]

#: text, or text and a rich style
Part = str | tuple[str, str]
#: the values of ``--color``
CHOICES = ("auto", "always", "never")


def add_color(parser: ArgumentParser, default: Any = "auto") -> None:
    """``args.color``, for `coloured`."""
    parser.add_argument(
        "--color",
        choices=CHOICES,
        metavar="WHEN",
        default=default,
        help="auto, always or never (default: auto, at a terminal; see also NO_COLOR, FORCE_COLOR)",
    )


def coloured(
    file: TextIO | None, when: str = "auto", environ: Mapping[str, str] = os.environ
) -> bool:
    """Whether to write colours to ``file``.

    ``--color`` decides, unless it is "auto"; then NO_COLOR, then FORCE_COLOR, if they are not
    empty; then whether the file is a terminal, and not a dumb one.
    """
    if when != "auto":
        return when == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return is_terminal(file) and environ.get("TERM") != "dumb"


def is_terminal(file: TextIO | None) -> bool:
    """Whether a file is a terminal; not if it is closed or None."""
    try:
        return file is not None and file.isatty()
    except ValueError:  # a closed file
        return False


def plain_text(parts: Iterable[Part]) -> str:
    """The text without styles."""
    return "".join(part if isinstance(part, str) else part[0] for part in parts)


def ansi(parts: Iterable[Part]) -> str:
    """The text with the escape sequences of its styles. Needs rich."""
    from rich.color import ColorSystem
    from rich.style import Style

    return "".join(
        part
        if isinstance(part, str)
        else Style.parse(part[1]).render(part[0], color_system=ColorSystem.STANDARD)
        for part in parts
    )
