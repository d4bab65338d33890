"""What can be said about a line of a program."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Kind"]


class Kind(Enum):
    """What a finding means for running the program."""

    IMPORT = "import"
    """An import statement, with its root changed."""
    STOPS = "cannot run"
    """It will raise here."""
    DIFFERS = "differs"
    """It runs, and does something else."""
    BETTER = "better"
    """It runs, and what was lost or silent there is not here."""


@dataclass(frozen=True)
class Finding:
    """``line`` counts from 1."""

    line: int
    text: str
    kind: Kind = Kind.DIFFERS
