"""The types of what is said in numbers: places, turns, colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

__all__ = ["Color", "Rotation", "SupportsToList", "Vector"]


class SupportsToList(Protocol):
    """A numpy array, a tensor, an ``array.array``: what turns itself into lists."""

    def tolist(self) -> Any: ...


Vector: TypeAlias = Sequence[float] | SupportsToList
"""x, y, z; in metres where it is a place."""

Rotation: TypeAlias = Sequence[float | str] | SupportsToList
"""Angles around x, y and z in radians, and perhaps their order: ``"XYZ"``."""

Color: TypeAlias = str | int | Vector
"""A CSS name, ``"#rrggbb"``, ``0xrrggbb``, or red, green and blue from 0 to 1."""
