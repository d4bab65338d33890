"""Which clients are meant, by what they say of themselves in INIT."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

__all__ = ["ClientFilter"]

#: what a pattern can match; the text of other values may be anything, or fail
_PLAIN = (str, int, float)


class ClientFilter:
    """A pattern, ``client="brow*"``, for each key of INIT's value; without any, every client."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self.patterns: dict[str, str] = {key: str(pattern) for key, pattern in patterns.items()}

    def matches(self, info: object) -> bool:
        """Whether all of the patterns match the value of an INIT."""
        if not self.patterns:
            return True
        return isinstance(info, Mapping) and all(
            isinstance(info.get(key), _PLAIN) and fnmatchcase(str(info[key]), pattern)
            for key, pattern in self.patterns.items()
        )
