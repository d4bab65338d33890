"""Models from files. The browser loads them: ``src`` is an address, never a path of this machine.

Instead of ``src``, ``text`` or ``buff`` (bytes) can hold the file itself, for the formats that the
web client draws from them: see `ModelProperties`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from .node import SceneElement

if TYPE_CHECKING:
    from .element import Child
    from .properties import ModelProperties, PointModelProperties, UrdfProperties

__all__ = ["Bvh", "Dae", "Fbx", "Glb", "ModelNode", "Obj", "Pcd", "Ply", "Stl", "Urdf"]


class ModelNode(SceneElement):
    """Loads a file; the classes below name its format."""


class Obj(ModelNode):
    """Wavefront OBJ, with the address of its materials in ``mtl``."""

    tag = "Obj"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[ModelProperties]) -> None: ...


class Fbx(ModelNode):
    """Autodesk FBX."""

    tag = "Fbx"


class Stl(ModelNode):
    """STL."""

    tag = "Stl"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[ModelProperties]) -> None: ...


class Dae(ModelNode):
    """COLLADA."""

    tag = "Dae"


class Ply(ModelNode):
    """PLY."""

    tag = "Ply"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(
            self, /, *nodes: Child | None, **props: Unpack[PointModelProperties]
        ) -> None: ...


class Glb(ModelNode):
    """glTF, binary or not."""

    tag = "Glb"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[ModelProperties]) -> None: ...


class Bvh(ModelNode):
    """Recorded motion, in Biovision's format."""

    tag = "Bvh"


class Urdf(ModelNode):
    """A robot; ``jointValues`` maps the names of its joints to radians or metres."""

    tag = "Urdf"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(self, /, *nodes: Child | None, **props: Unpack[UrdfProperties]) -> None: ...


class Pcd(SceneElement):
    """A point cloud in the format of PCL; ``size`` is that of a point."""

    tag = "Pcd"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(
            self, /, *nodes: Child | None, **props: Unpack[PointModelProperties]
        ) -> None: ...
