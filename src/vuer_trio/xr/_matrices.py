"""Numbers from the wire as matrices."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._errors import ProtocolError
from .._formatting import must_be

Floats: TypeAlias = NDArray[np.floating[Any]]
Bools: TypeAlias = NDArray[np.bool_]

__all__ = ["Bools", "Floats", "are_poses", "read_pose", "read_poses"]

_PER_POSE = 16
#: bytes of a Float32Array's element
_SINGLE = 4


def read_poses(numbers: Any, count: int, where: str) -> Floats | None:
    """The (count, 4, 4) matrices of ``16 * count`` numbers in column-major order, read-only.

    None if there are no numbers: None, or an empty sequence. Numbers are a list, an array of one
    dimension, or the bytes of a ``Float32Array``, as msgpackr writes it: those are not copied.
    Raises ProtocolError that names ``where`` they are.
    """
    if numbers is None:
        return None
    if isinstance(numbers, (bytes, bytearray, memoryview)):
        numbers = memoryview(numbers).cast("B")
        flat = np.frombuffer(numbers, "<f4") if len(numbers) % _SINGLE == 0 else None
    elif isinstance(numbers, (list, tuple, np.ndarray)):
        flat = _array(numbers)
    else:
        raise ProtocolError(must_be(where, "a list of numbers", numbers))
    if flat is None:
        raise ProtocolError(_fault(numbers, where))
    if flat.size == 0:
        return None
    if flat.size != _PER_POSE * count:
        raise ProtocolError(
            f"{where} must be {_PER_POSE * count} numbers, {_PER_POSE} for each of {count} "
            f"{'pose' if count == 1 else 'poses'}, got {flat.size}"
        )
    poses: Floats = flat.reshape(count, 4, 4).transpose(0, 2, 1)
    poses.flags.writeable = False
    return poses


def _array(numbers: Any) -> Any:
    """An array of one dimension of floats; None if these are no numbers."""
    try:
        flat = np.asarray(numbers)
    except (ValueError, OverflowError):  # lists of several lengths
        return None
    if flat.size == 0 and flat.ndim == 1:
        return flat
    if flat.ndim != 1 or flat.dtype.kind not in "fiu":
        return None
    return flat.view() if flat.dtype.kind == "f" else flat.astype(float)


def _fault(numbers: Any, where: str) -> str:
    """What is wrong with them."""
    if isinstance(numbers, memoryview):
        return f"{where} must be whole 32-bit floats, got {len(numbers)} bytes"
    for index, number in enumerate(numbers):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            return must_be(f"{where}[{index}]", "a number", number)
    return f"{where} must be numbers that a float can hold"


def are_poses(matrices: Floats) -> Bools:
    """For each of the (n, 4, 4) matrices, whether it is a pose: (n,) bools.

    All its numbers are finite, and its last row is that of a transformation. On the wire, a pose
    that the headset has never seen is all zeros.
    """
    bottom = (matrices[:, 3] == (0, 0, 0, 1)).all(axis=1)
    found: Bools = bottom & np.isfinite(matrices).all(axis=(1, 2))
    return found


def read_pose(numbers: Any, where: str) -> Floats | None:
    """One (4, 4) matrix, as `read_poses`; None also if all its numbers are 0."""
    poses = read_poses(numbers, 1, where)
    return None if poses is None or not poses.any() else poses[0]
