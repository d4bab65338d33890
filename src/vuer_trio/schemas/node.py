"""What stands in the scene, as opposed to the page around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .element import BlockElement, Child
from .vectors import Color, Rotation, SupportsToList, Vector

__all__ = ["Color", "Rotation", "SceneElement", "SupportsToList", "Vector"]


class SceneElement(BlockElement):
    """A node of the 3D scene; what it holds moves with it."""

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
