"""What is behind and below the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from .node import Color, SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import GridProperties

__all__ = ["BackgroundColor", "Fog", "Grid"]


class BackgroundColor(SceneElement):
    """One colour behind everything."""

    tag = "BackgroundColor"

    def __init__(self, color: Color | None = "#131416", **props: Any) -> None:
        super().__init__(color=color, **props)


class Fog(SceneElement):
    """Fog of a ``color``, which begins at the distance ``near`` and hides everything beyond
    ``far``.

    Raises TypeError for children.
    """

    tag = "fog"
    key = "fog"
    attach = "fog"

    def __post_init__(self, children: Any = None, **props: Any) -> None:
        if children is not None:
            raise TypeError("Fog has no children")


class Grid(SceneElement):
    """A grid on the ground; part of the default scene."""

    tag = "Grid"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[GridProperties]) -> None: ...
