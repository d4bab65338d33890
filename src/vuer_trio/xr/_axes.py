"""Poses in other axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._matrices import Floats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["change_axes"]


def change_axes(poses: ArrayLike, axes: ArrayLike) -> Floats:
    """Poses, (..., 4, 4), in another system of axes: ``axes @ pose @ axes.T`` of each.

    ``axes`` is one of `vuer_trio.frame`: ``Y2Z`` for a robot whose z axis points up, ``Y2X`` for
    one whose x axis does. The axes of the frame and those of the pose itself both change,
    so that a pose without a rotation still has none. ``axes @ pose`` alone would also rotate each
    joint.

    Raises ValueError for any other shape.
    """
    turned: Any = np.asarray(poses)
    turn: Any = np.asarray(axes)
    for name, value in (("poses", turned), ("axes", turn)):
        if value.shape[-2:] != (4, 4):
            raise ValueError(f"{name} must be matrices of shape (4, 4), got shape {value.shape}")
    changed: Floats = turn @ turned @ np.swapaxes(turn, -1, -2)
    return changed
