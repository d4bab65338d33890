"""Joints: poses with names."""

from __future__ import annotations

from typing import ClassVar

from ._matrices import Bools, Floats, are_poses

__all__ = ["Joints"]


class Joints:
    """Poses of joints, in the order of `names`.

    `matrices` is (n, 4, 4), in metres, read-only. Slices of it are views, not copies.
    """

    __slots__ = ("matrices",)

    #: the names of the joints, in the order of the matrices
    names: ClassVar[tuple[str, ...]] = ()
    _index: ClassVar[dict[str, int]] = {}

    matrices: Floats

    def __init_subclass__(cls) -> None:
        cls._index = {name: index for index, name in enumerate(cls.names)}

    def __init__(self, matrices: Floats) -> None:
        self.matrices = matrices

    @property
    def positions(self) -> Floats:
        """(n, 3), metres."""
        return self.matrices[:, :3, 3]

    @property
    def rotations(self) -> Floats:
        """(n, 3, 3)."""
        return self.matrices[:, :3, :3]

    @property
    def valid(self) -> Bools:
        """(n,): whether each joint has a pose. One that was never tracked is all zeros."""
        return are_poses(self.matrices)

    def joint(self, name: str) -> Floats:
        """The (4, 4) matrix of a joint. Raises ValueError for a name that is not in `names`."""
        try:
            index = self._index[name]
        except (KeyError, TypeError):
            raise ValueError(
                f"name must be one of the {len(self.names)} joints in `names`, got {name!r}"
            ) from None
        matrix: Floats = self.matrices[index]
        return matrix

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.matrices)} joints>"
