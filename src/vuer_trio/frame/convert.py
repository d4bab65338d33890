"""Matrices between systems of axes, by the axis that points up or ahead; as in `vuer.frame`.

``Z2Y @ points`` takes homogeneous points, (4, 4) @ (4, n), from a system whose z axis points up to
that of the scene, whose y axis does; ``Y2Z`` takes them back. Each is a rotation by quarter turns,
so its entries are 0, 1 and -1, and its inverse is its transpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["X2Y", "X2Z", "Y2X", "Y2Z", "Z2X", "Z2Y"]


def _turn(*rows: str) -> NDArray[Any]:
    """A rotation from its rows: ``"-z"`` is a row that takes what was z, with the other sign."""
    matrix = numpy.zeros((4, 4), dtype=int)
    for number, row in enumerate(rows):
        matrix[number, "xyz".index(row[-1])] = -1 if row[0] == "-" else 1
    matrix[3, 3] = 1
    return matrix


Z2Y: Final[NDArray[Any]] = _turn("x", "z", "-y")
Y2Z: Final[NDArray[Any]] = _turn("x", "-z", "y")
X2Y: Final[NDArray[Any]] = _turn("-z", "x", "-y")
Y2X: Final[NDArray[Any]] = _turn("y", "-x", "z")
X2Z: Final[NDArray[Any]] = _turn("-y", "-z", "x")
Z2X: Final[NDArray[Any]] = _turn("z", "x", "y")
