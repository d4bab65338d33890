"""What a scene is made of: an element is a tag, a key, and properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .._keys import ATOMS
from ..codec import gives_plain, plain

__all__ = ["BlockElement", "Child", "Element", "SupportsSerialize"]

_numbers = count()


class SupportsSerialize(Protocol):
    """Anything with ``_serialize()``: elements of this library and of the reference's."""

    def _serialize(self) -> Any: ...


Child: TypeAlias = SupportsSerialize | Mapping[str, Any] | str
"""What may stand where an element is expected."""


class Element:
    """One node: ``tag`` names what the browser draws, the keywords are its properties.

    Without ``key`` it gets one from a counter of this process, as a string. Properties are
    attributes, may be changed, and are sent under their names; those whose names begin with an
    underscore are not sent. Values may be numpy arrays, paths and other elements, at any depth.
    """

    tag: str = "div"
    key: str

    def __init__(self, /, *, key: str | None = None, **props: Any) -> None:
        key = key or getattr(self, "key", None) or str(next(_numbers))
        early = {  # set by a subclass before it came here
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and name not in ("tag", "key")
        }
        props = {**early, **props}
        vars(self).update({"tag": self.tag, "key": key, **props})
        self.__post_init__(**props)

    def __post_init__(self, **props: Any) -> None:
        """Called at the end of the construction with all properties; for subclasses."""

    @gives_plain
    def _serialize(self) -> dict[str, Any]:
        """The element as plain data, in the form of the wire."""
        return {
            name: value if type(value) in ATOMS else plain(value)
            for name, value in vars(self).items()
            if name[:1] != "_"
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self, 'tag', '?')} key={vars(self).get('key')!r}>"

    if TYPE_CHECKING:  # properties are open-ended

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...


class BlockElement(Element):
    """An element with children: elements, strings or plain dicts. A child that is None is left out.

    Without children, no ``children`` are sent. Encoding it raises TypeError for a child of any
    other kind.
    """

    children: Any = ()  # of any kind of sequence

    def __init__(self, /, *children: Child | None, **props: Any) -> None:
        if children:
            self.children = children
        super().__init__(**props)

    @gives_plain
    def _serialize(self) -> dict[str, Any]:
        node = super()._serialize()
        if children := self.children:
            node["children"] = _nodes(self, children)
        return node


def _nodes(parent: Element, children: Iterable[Any]) -> list[Any]:
    """The children of ``parent`` as plain data, None left out. Raises TypeError for another thing.

    Anything else would reach the browser, which has no way to draw it or to say so.
    """
    if not isinstance(children, Iterable):
        raise TypeError(f"children of {parent!r} must be a list, got {children!r:.60}")
    nodes = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, type):
            raise TypeError(
                f"a child of {parent!r} must be an element, got the class {child.__name__} itself"
            )
        if not (hasattr(child, "_serialize") or isinstance(child, (str, Mapping))):
            raise TypeError(
                f"a child of {parent!r} must be an element, a string or a dict, got {child!r:.60}"
            )
        nodes.append(plain(child))
    return nodes
