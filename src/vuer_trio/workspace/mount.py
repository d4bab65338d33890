"""A folder at an address of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Mount"]


@dataclass(frozen=True, slots=True)
class Mount:
    """The files of ``root`` are at ``<path>/<file>`` of the server; ``path`` is as in
    ``/uploads``."""

    path: str
    root: Path

    @property
    def prefix(self) -> tuple[str, ...]:
        """The parts of ``path``."""
        return tuple(part for part in self.path.split("/") if part)
