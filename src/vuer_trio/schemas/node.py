"""Nodes in the scene, as opposed to the page around it, and the values of their properties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .element import BlockElement, Child

__all__ = ["Color", "Rotation", "SceneElement", "SupportsToList", "Vector"]


class SupportsToList(Protocol):
    """A numpy array, a tensor, an ``array.array``: anything with ``tolist()``."""

    def tolist(self) -> Any: ...


Vector: TypeAlias = Sequence[float] | SupportsToList
"""x, y, z; in metres where it is a place."""

Rotation: TypeAlias = Sequence[float | str] | SupportsToList
"""Angles around x, y and z in radians, and perhaps their order: ``"XYZ"``."""

Color: TypeAlias = str | int | Vector
"""A CSS name, ``"#rrggbb"``, ``0xrrggbb``, or red, green and blue from 0 to 1."""


class SceneElement(BlockElement):
    """A node of the 3D scene; its children move with it."""

    # What has a type here is the same for all nodes. At run time they are properties like any
    # other: what is not given is not sent, which for many is something else than None. (There,
    # ``*nodes`` is ``*children``: a checker would then refuse ``children=``, which is right, too.)
    if TYPE_CHECKING:

        def __init__(
            self,
            /,
            *nodes: Child | None,
            key: str | None = None,
            position: Vector = ...,
            rotation: Rotation = ...,
            quaternion: Vector = ...,
            scale: float | Vector = ...,
            matrix: Vector | Sequence[Vector] = ...,
            args: Sequence[Any] | SupportsToList = ...,
            color: Color | None = ...,
            opacity: float = ...,
            hide: bool = ...,
            **props: Any,
        ) -> None: ...
