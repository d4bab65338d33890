"""Small types with the names that they have in `vuer.types`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from math import radians
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

__all__ = [
    "Body",
    "CoroutineFn",
    "Euler",
    "EulerDeg",
    "EventHandler",
    "IDType",
    "SocketHandler",
    "Url",
    "Vector3",
]


class Url(str):
    """An address that can be extended by ``/`` and ``+``: ``Url("http://a:8012") / "robot.urdf"``.

    ``/`` puts exactly one slash between the two, ``+`` nothing; both give a `Url`.
    """

    __slots__ = ()

    def __truediv__(self, path: object) -> Url:
        return Url(f"{self.rstrip('/')}/{str(path).lstrip('/')}")

    def __add__(self, more: object) -> Url:
        return Url(f"{self}{more}")

    def __radd__(self, before: object) -> Url:
        return Url(f"{before}{self}")


class Vector3(NamedTuple):
    """Three numbers."""

    x: float
    y: float
    z: float


class Euler(NamedTuple):
    """Angles in radians about the three axes, in the order in which they are applied."""

    x: float
    y: float
    z: float
    order: str = "XYZ"


class EulerDeg(Euler):
    """The same in degrees."""

    __slots__ = ()
    unit = "deg"

    def to_rad(self) -> Euler:
        """In radians."""
        return Euler(radians(self.x), radians(self.y), radians(self.z), self.order)


class Body(NamedTuple):
    """A position, a rotation and a scale."""

    position: Vector3
    rotation: Euler
    scale: float


IDType: TypeAlias = UUID | str
"""An id."""

CoroutineFn: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]
"""An async function without arguments."""

EventHandler: TypeAlias = Callable[[Any, Any], object]
"""A handler: it is called with the event and the session that sent it."""

SocketHandler: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]
"""What a session runs: an async function of the session."""
