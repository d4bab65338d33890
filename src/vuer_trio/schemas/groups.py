"""Nodes that act on their children: they move them, place them, or make them react."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from .element import Child
from .node import SceneElement

if TYPE_CHECKING:
    from .properties import MovableProperties, NodeProperties

__all__ = [
    "Billboard",
    "Center",
    "Clickable",
    "Group",
    "Movable",
    "Pivot",
    "Trail",
    "VuerGroup",
    "group",
    "mesh",
]


class group(SceneElement):
    """three.js' own group."""

    tag = "group"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[NodeProperties]) -> None: ...


class mesh(SceneElement):
    """three.js' own mesh: a geometry and a material, given as children."""

    tag = "mesh"


class Group(SceneElement):
    """Several nodes under one position, rotation and scale."""

    tag = "VuerGroup"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[NodeProperties]) -> None: ...


class VuerGroup(SceneElement):
    """The same as :class:`Group`, under the name that the browser uses."""

    tag = "VuerGroup"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[NodeProperties]) -> None: ...


class Pivot(SceneElement):
    """A point that its children turn around, as a door around its hinge."""

    tag = "Pivot"


class Movable(SceneElement):
    """Its children can be grabbed and moved, by pointer, hand or controller.

    With ``localRotation`` it turns about itself.
    """

    tag = "Movable"
    localRotation = False

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[MovableProperties]) -> None: ...


class Clickable(SceneElement):
    """Its children report what a pointer does to them."""

    tag = "Clickable"


class Center(SceneElement):
    """Moves the middle of its children's bounding box to its own position."""

    tag = "Center"


class Billboard(SceneElement):
    """Keeps its children facing the camera, about the axes that are not locked."""

    tag = "Billboard"

    def __init__(
        self,
        /,
        *children: Child | None,
        follow: bool = True,
        lockX: bool = False,
        lockY: bool = False,
        lockZ: bool = False,
        **props: Any,
    ) -> None:
        super().__init__(*children, follow=follow, lockX=lockX, lockY=lockY, lockZ=lockZ, **props)


class Trail(SceneElement):
    """A line behind its child that fades as the child moves on."""

    tag = "Trail"
