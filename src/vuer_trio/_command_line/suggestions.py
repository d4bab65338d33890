"""What may have been meant by a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean"]

#: of 1: "lisen" is 0.91 of "listen", "cord" 0.8 of "record", "play" 0.8 of "replay"
_LEAST = 0.6


def did_you_mean(wrong: str, names: Iterable[str]) -> str | None:
    """The name that is most like ``wrong``; None if none is."""
    known = sorted(names)
    bare = wrong.lower()
    found = get_close_matches(bare, known, 1, _LEAST)
    if not found:  # the beginning, or a part of a longer name
        body = bare.lstrip("-/")
        found = [name for name in known if len(body) > 1 and body in name][:1]
    return found[0] if found else None
