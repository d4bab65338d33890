"""Clouds of points and meshes of triangles, from arrays or from depth images.

Arrays are packed when their element is created: coordinates as 16-bit floats, which have three
significant digits and a maximum of 65504, indices as 32-bit and colours as 8-bit integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from .node import SceneElement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .element import Child
    from .properties import PointsProperties, SurfaceProperties

__all__ = [
    "DepthPointCloud",
    "DepthPointCloudProvider",
    "InPlaceDepthPointCloud",
    "PointCloud",
    "TriMesh",
    "p",
]

# little-endian, as the browser's typed arrays are
_FLOAT16 = "<f2"
_UINT32 = "<u4"


class PointCloud(SceneElement):
    """Points: ``vertices`` and ``colors`` are numpy arrays of shape (N, 3); ``size`` is that of a
    point.

    Colours are 8-bit integers, or numbers from 0 to 1; a fourth channel is left out. Raises
    TypeError for other kinds of arrays, and without ``vertices``.
    """

    tag = "PointCloud"
    vertices: Any = None
    colors: Any = None

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(
            self,
            /,
            *nodes: Child | None,
            vertices: NDArray[Any],
            colors: NDArray[Any] | None = ...,
            **props: Unpack[PointsProperties],
        ) -> None: ...

    def __post_init__(self, **props: Any) -> None:
        self.vertices = _packed(self, "vertices", _FLOAT16)
        if self.colors is not None:
            self.colors = _packed_colors(self)


p = PointCloud


class TriMesh(SceneElement):
    """Triangles: ``faces`` has three indices into ``vertices`` for each, the shape is (N, 3).

    ``vertices`` and ``colors`` are as in a :class:`PointCloud`; ``uv`` has the shape (N, 2).
    Raises TypeError for other kinds of arrays, and without ``vertices`` and ``faces``.
    """

    tag = "TriMesh"
    vertices: Any = None
    faces: Any = None
    colors: Any = None
    uv: Any = None

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(
            self,
            /,
            *nodes: Child | None,
            vertices: NDArray[Any],
            faces: NDArray[Any],
            colors: NDArray[Any] | None = ...,
            uv: NDArray[Any] | None = ...,
            **props: Unpack[SurfaceProperties],
        ) -> None: ...

    def __post_init__(self, **props: Any) -> None:
        self.vertices = _packed(self, "vertices", _FLOAT16)
        self.faces = _packed(self, "faces", _UINT32)
        if self.colors is not None:
            self.colors = _packed_colors(self)
        if self.uv is not None:
            self.uv = _packed(self, "uv", _FLOAT16)


class DepthPointCloud(SceneElement):
    """Points from the images at the addresses ``depth`` (16-bit PNG) and ``rgb``."""

    tag = "DepthPointCloud"


class DepthPointCloudProvider(SceneElement):
    """Draws all the :class:`DepthPointCloud` nodes that it holds, the far ones coarser."""

    tag = "DepthPointCloudProvider"


class InPlaceDepthPointCloud(SceneElement):
    """A :class:`DepthPointCloud` that is redrawn in place when its images change."""

    tag = "InPlaceDepthPointCloud"


def _array(element: SceneElement, name: str) -> Any:
    array = getattr(element, name)
    if not hasattr(array, "astype"):
        raise TypeError(f"{name} of {element!r} must be a numpy array, got {type(array).__name__}")
    return array


def _packed(element: SceneElement, name: str, dtype: str) -> bytes:
    packed: bytes = _array(element, name).astype(dtype).tobytes()
    return packed


def _packed_colors(element: SceneElement) -> bytes:
    colors = _array(element, "colors")
    if colors.dtype.kind not in "uif":
        raise TypeError(
            f"colors of {element!r} must be integers from 0 to 255 as uint8, or numbers from 0"
            f" to 1, got {colors.dtype.name}"
        )
    if colors.shape[-1:] == (4,):
        colors = colors[..., :3]
    if colors.dtype.name != "uint8":
        colors = (colors * 255).astype("uint8")
    packed: bytes = colors.tobytes()
    return packed
