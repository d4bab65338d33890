"""A pose as a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["to_mat"]


def to_mat(pos: ArrayLike, quat: ArrayLike) -> NDArray[Any]:
    """The (4, 4) matrix of a position (x, y, z) and a quaternion (x, y, z, w) of any length."""
    vector = numpy.asarray(quat, dtype=float)
    x, y, z, w = vector / numpy.linalg.norm(vector)
    axis = numpy.array([x, y, z])
    # Rodrigues' formula for a unit quaternion: (w² - |v|²) I + 2 v vᵀ + 2 w V, V @ a being v x a
    cross = numpy.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = numpy.eye(4)
    matrix[:3, :3] = (
        (w * w - axis @ axis) * numpy.eye(3) + 2 * numpy.outer(axis, axis) + 2 * w * cross
    )
    matrix[:3, 3] = pos
    return matrix
