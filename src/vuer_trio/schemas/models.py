"""Models from files. The browser loads them: ``src`` is an address, never a path of this machine.

Instead of ``src``, ``text`` or ``buff`` (bytes) may hold the file itself.
"""

from __future__ import annotations

from .node import SceneElement

__all__ = ["Bvh", "Dae", "Fbx", "Glb", "ModelNode", "Obj", "Pcd", "Ply", "Stl", "Urdf"]


class ModelNode(SceneElement):
    """What loads a file; the classes below name its format."""


class Obj(ModelNode):
    """Wavefront OBJ, with the address of its materials in ``mtl``."""

    tag = "Obj"


class Fbx(ModelNode):
    """Autodesk FBX."""

    tag = "Fbx"


class Stl(ModelNode):
    """STL."""

    tag = "Stl"


class Dae(ModelNode):
    """COLLADA."""

    tag = "Dae"


class Ply(ModelNode):
    """PLY."""

    tag = "Ply"


class Glb(ModelNode):
    """glTF, as one binary file or not."""

    tag = "Glb"


class Bvh(ModelNode):
    """Recorded motion, in Biovision's format."""

    tag = "Bvh"


class Urdf(ModelNode):
    """A robot; ``jointValues`` maps the names of its joints to radians or metres."""

    tag = "Urdf"


class Pcd(SceneElement):
    """A point cloud in the format of PCL; ``size`` is that of a point."""

    tag = "Pcd"
