"""Matrices as positions and quaternions, and what these cannot express of a matrix.

A pose is a position in metres and a unit quaternion (x, y, z, w) with w >= 0. A (4, 4) matrix may
be more, or less: it may scale, mirror or shear, or not be a transformation. `Kind` says which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .._errors import ProtocolError
from .._formatting import must_be

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["POSE_FIELDS", "Kind", "Poses", "matrix_of", "poses_of"]

#: the properties of a node or a camera that say where it is
POSE_FIELDS = frozenset(("matrix", "position", "quaternion", "rotation", "scale"))
#: how far an axis may be from its length 1, or two axes from their right angle, to be rigid; what
#: comes in single precision is a thousand times nearer
_TOLERANCE = 1e-4
#: an axis is lost that is shorter than this, as is one so short beside the longest
_LEAST, _FLAT = 1e-150, 1e-9
#: an axis beyond this cannot be squared
_MOST = 1e150


class Kind(StrEnum):
    """What a matrix is."""

    #: a rotation and a position: the pose says all of it
    RIGID = "rigid"
    #: axes of other lengths, which the pose leaves out
    SCALED = "scaled"
    #: axes that are not at right angles; the pose has the nearest rotation
    SHEARED = "sheared"
    #: a left-handed one: the pose is that of the matrix with its x axis turned around
    MIRRORED = "mirrored"
    #: no pose: all zeros (never tracked), not finite, or an axis has no length
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Poses:
    """Poses of n matrices; where the kind is ``NONE`` the numbers are NaN."""

    #: (n, 3), metres
    positions: Floats
    #: (n, 4): x, y, z, w, of length 1 and w >= 0
    quaternions: Floats
    #: n of them
    kinds: list[Kind]


def poses_of(matrices: Any) -> Poses:
    """The poses of (n, 4, 4) matrices, whose columns are the axes and the position."""
    import numpy as np

    whole: Floats = np.asarray(matrices, dtype=np.float64)
    count = len(whole)
    positions, axes = whole[:, :3, 3].copy(), whole[:, :3, :3].copy()
    bottom: Any = np.equal(whole[:, 3], (0, 0, 0, 1)).all(axis=1)
    finite: Any = np.isfinite(whole).all(axis=(1, 2)) & (np.abs(axes) < _MOST).all(axis=(1, 2))
    axes[~(bottom & finite)] = np.eye(3)  # so that nothing below warns
    lengths = np.linalg.norm(axes, axis=1)
    longest = lengths.max(axis=1, initial=0.0)
    flat = (lengths <= np.maximum(_LEAST, _FLAT * longest)[:, None]).any(axis=1)
    axes[flat], lengths[flat] = np.eye(3), 1.0
    scaled: Any = (np.abs(lengths - 1) > _TOLERANCE).any(axis=1)
    axes /= lengths[:, None, :]
    volumes: Floats = np.linalg.det(axes)
    flat |= np.abs(volumes) < _FLAT  # its axes lie in one plane
    axes[flat] = np.eye(3)
    mirrored: Any = np.less(volumes, 0)
    axes[mirrored, :, 0] *= -1
    angles = axes.transpose(0, 2, 1) @ axes - np.eye(3)
    sheared: Any = (np.abs(angles) > _TOLERANCE).any(axis=(1, 2))
    if sheared.any():
        left, _, right = np.linalg.svd(axes[sheared])
        axes[sheared] = left @ right
    quaternions = _quaternions(axes)
    none: Any = ~(bottom & finite) | flat
    positions[none], quaternions[none] = math.nan, math.nan
    kinds = [
        Kind.NONE
        if none[n]
        else Kind.MIRRORED
        if mirrored[n]
        else Kind.SHEARED
        if sheared[n]
        else Kind.SCALED
        if scaled[n]
        else Kind.RIGID
        for n in range(count)
    ]
    return Poses(positions, quaternions, kinds)


def _quaternions(rotations: Floats) -> Floats:
    """Those of (n, 3, 3) rotations.

    For a unit quaternion q, the entries of ``4 q qT`` are sums of those of the rotation. Each of
    its rows is a multiple of q; the one of the largest diagonal entry is the most exact.
    """
    import numpy as np

    m = rotations.transpose(1, 2, 0)
    squares = np.empty((4, 4, len(rotations)))
    squares[0, 0] = 1 + m[0, 0] - m[1, 1] - m[2, 2]
    squares[1, 1] = 1 - m[0, 0] + m[1, 1] - m[2, 2]
    squares[2, 2] = 1 - m[0, 0] - m[1, 1] + m[2, 2]
    squares[3, 3] = 1 + m[0, 0] + m[1, 1] + m[2, 2]
    squares[0, 1] = squares[1, 0] = m[0, 1] + m[1, 0]
    squares[0, 2] = squares[2, 0] = m[0, 2] + m[2, 0]
    squares[1, 2] = squares[2, 1] = m[1, 2] + m[2, 1]
    squares[0, 3] = squares[3, 0] = m[2, 1] - m[1, 2]
    squares[1, 3] = squares[3, 1] = m[0, 2] - m[2, 0]
    squares[2, 3] = squares[3, 2] = m[1, 0] - m[0, 1]
    best = squares[range(4), range(4)].argmax(axis=0)
    found: Floats = squares[best, :, range(len(rotations))]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found[found[:, 3] < 0] *= -1
    return found


# ---- properties


def matrix_of(props: Mapping[str, Any]) -> Floats:
    """The (4, 4) matrix of the properties of a node or a camera, as the web client reads them.

    ``matrix``, 16 numbers in column-major order, overrides all others. Otherwise, it is composed of
    ``position``, ``quaternion`` or, without one, ``rotation`` (angles around x, y and z in radians,
    and perhaps their order), and ``scale``. Properties that are missing or None have the values of
    a node at the origin. Raises ProtocolError for malformed ones.
    """
    import numpy as np

    from ..frame import to_mat
    from ..xr._matrices import read_poses

    if props.get("matrix") is not None:
        poses = read_poses(props["matrix"], 1, "matrix")
        if poses is not None:
            return np.asarray(poses[0], dtype=np.float64)
    position = _numbers(props.get("position"), 3, "position", (0.0, 0.0, 0.0))
    turn: Sequence[float]
    if props.get("quaternion") is not None:
        turn = _numbers(props["quaternion"], 4, "quaternion", ())
        if not 0 < sum(x * x for x in turn) < math.inf:
            raise ProtocolError(must_be("quaternion", "longer than 0, and finite", turn))
        matrix = to_mat(position, turn)
    else:
        matrix = np.eye(4)
        matrix[:3, :3] = _rotation(props.get("rotation"))
        matrix[:3, 3] = position
    scale = props.get("scale")
    if scale is not None:
        factors = [scale] * 3 if _is_number(scale) else _numbers(scale, 3, "scale", ())
        matrix[:3, :3] *= np.array(factors, dtype=np.float64)
    found: Floats = matrix
    return found


def _rotation(angles: Any) -> Floats:
    """The (3, 3) matrix of angles, turned around axes that turn as well, in their order."""
    import numpy as np

    turned: Floats = np.eye(3)
    if angles is None:
        return turned
    order = "XYZ"
    if isinstance(angles, list | tuple) and len(angles) == 4:
        order, angles = angles[3], angles[:3]
        if order is None:
            order = "XYZ"
        if not isinstance(order, str) or sorted(order.upper()) != ["X", "Y", "Z"]:
            raise ProtocolError(must_be("rotation[3]", "an order of axes, such as 'XYZ'", order))
    values = _numbers(angles, 3, "rotation", ())
    if not all(map(math.isfinite, values)):
        raise ProtocolError(must_be("rotation", "finite", values))
    for axis in ("XYZ".index(letter) for letter in order.upper()):
        sine, cosine = math.sin(values[axis]), math.cos(values[axis])
        one = np.eye(3)
        j, k = (axis + 1) % 3, (axis + 2) % 3
        one[j, j] = one[k, k] = cosine
        one[k, j], one[j, k] = sine, -sine
        turned = turned @ one
    return turned


def _numbers(value: Any, count: int, name: str, missing: Sequence[float]) -> Sequence[float]:
    if value is None and missing:
        return missing
    if isinstance(value, Mapping) and count <= 4:  # as three.js writes a vector
        value = [value.get(letter) for letter in "xyzw"[:count]]
    if (
        not isinstance(value, list | tuple)
        or len(value) != count
        or not all(map(_is_number, value))
    ):
        raise ProtocolError(must_be(name, f"{count} numbers", value))
    return [float(number) for number in value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**1023
