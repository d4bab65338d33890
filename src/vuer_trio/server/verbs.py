"""The verbs that change a scene, for whatever can send an event: a session, all of them, a store.

things.upsert @ Box(key="box")               things.remove @ "box"
things.upsert @ [a, b]                       things.remove @ ["a", "b"]
things.upsert(Box(key="child"), to="parent") things.update(box, strict=True)
things.upsert(to="parent") @ Box(key="child")
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, overload

from .._formatting import must_be
from ..events import Add, Event, Remove, ServerEvent, Set, Update, Upsert

if TYPE_CHECKING:  # a program that has no elements need not load them
    from ..schemas.element import SupportsSerialize

__all__ = ["AddVerb", "RemoveVerb", "SetVerb", "UpdateVerb", "UpsertVerb", "Verbs"]

_One: TypeAlias = "SupportsSerialize | Mapping[str, Any]"
#: an element, its plain dict, or a list of these
Elements: TypeAlias = "_One | Sequence[_One]"
Send: TypeAlias = Callable[[ServerEvent], None]

_FREEZES: Final = "root"


class Verbs(ABC):
    """Offers the verbs. Each enqueues one event at the call, and returns None.

    They raise TypeError for what is not an element, a scene or a key, ValueError for a key that
    the page cannot take, and what sending raises.
    """

    @abstractmethod
    def _send(self, event: ServerEvent) -> None:
        """Enqueue an event now."""

    @property
    def set(self) -> SetVerb:
        """Replace the scene: ``set @ Scene(...)``. Slots that it omits keep their nodes."""
        return SetVerb(self._send)

    @property
    def update(self) -> UpdateVerb:
        """Overwrite properties of nodes that exist. An element without a key means the root."""
        return UpdateVerb(self._send)

    @property
    def add(self) -> AddVerb:
        """Append nodes to the root, or with ``to=`` to a node or a slot."""
        return AddVerb(self._send)

    @property
    def upsert(self) -> UpsertVerb:
        """Overwrite the nodes that have these keys; append those that no node has.

        With ``to=`` only what hangs there is looked at.
        """
        return UpsertVerb(self._send)

    @property
    def remove(self) -> RemoveVerb:
        """Remove a node for each key. Groups that hold nothing then go as well."""
        return RemoveVerb(self._send)


class SetVerb:
    """``set @ scene``, ``set @ [scene]``, ``set(scene)``."""

    __slots__ = ("_send",)

    def __init__(self, send: Send) -> None:
        self._send = send

    def __matmul__(self, scene: Elements) -> None:
        if isinstance(scene, list | tuple) and len(scene) == 1:
            scene = scene[0]
        if not _is_element(scene):
            raise TypeError(f"set takes a Scene, got {_what(scene)}; use set @ Scene(...)")
        if (tag := _given(scene, "tag", "Scene")) != "Scene":
            raise TypeError(
                f"set takes a Scene, got a {tag}: set @ Scene(...) replaces the scene, and "
                "upsert @ element puts an element into it"
            )
        self._send(Set(scene))

    def __call__(self, scene: Elements, /) -> None:
        self @ scene


class UpdateVerb:
    """``update @ elements``, ``update(*elements, strict=True)``."""

    __slots__ = ("_send", "_strict")

    def __init__(self, send: Send, strict: bool = False) -> None:
        self._send = send
        self._strict = strict

    def __matmul__(self, elements: Elements) -> None:
        self._send(Update(*_elements("update", (elements,)), strict=self._strict))

    @overload
    def __call__(self, *, strict: bool) -> UpdateVerb: ...
    @overload
    def __call__(
        self, element: Elements, /, *elements: Elements, strict: bool | None = ...
    ) -> None: ...
    def __call__(self, *elements: Elements, strict: bool | None = None) -> UpdateVerb | None:
        verb = UpdateVerb(self._send, self._strict if strict is None else strict)
        if not elements and strict is not None:
            return verb
        return verb @ _some("update", elements)


class AddVerb:
    """``add @ elements``, ``add(*elements, to="parent")``, ``add(to="parent") @ elements``."""

    __slots__ = ("_send", "_to")

    def __init__(self, send: Send, to: str | None = None) -> None:
        self._send = send
        self._to = _checked_place("add", to)

    def __matmul__(self, elements: Elements) -> None:
        self._send(Add(*_elements("add", (elements,), new=True), to=self._to))

    @overload
    def __call__(self, *, to: str) -> AddVerb: ...
    @overload
    def __call__(self, element: Elements, /, *elements: Elements, to: str | None = ...) -> None: ...
    def __call__(self, *elements: Elements, to: str | None = None) -> AddVerb | None:
        verb = AddVerb(self._send, self._to if to is None else to)
        if not elements and to is not None:
            return verb
        return verb @ _some("add", elements)


class UpsertVerb:
    """``upsert @ elements``, ``upsert(*elements, to="parent")``, ``upsert(to=...) @ elements``."""

    __slots__ = ("_send", "_strict", "_to")

    def __init__(self, send: Send, to: str | None = None, strict: bool = False) -> None:
        self._send = send
        self._to = _checked_place("upsert", to)
        self._strict = strict

    def __matmul__(self, elements: Elements) -> None:
        nodes = _elements("upsert", (elements,), new=True)
        self._send(Upsert(*nodes, to=self._to, strict=self._strict))

    @overload
    def __call__(self, *, to: str, strict: bool | None = ...) -> UpsertVerb: ...
    @overload
    def __call__(self, *, strict: bool) -> UpsertVerb: ...
    @overload
    def __call__(
        self,
        element: Elements,
        /,
        *elements: Elements,
        to: str | None = ...,
        strict: bool | None = ...,
    ) -> None: ...
    def __call__(
        self, *elements: Elements, to: str | None = None, strict: bool | None = None
    ) -> UpsertVerb | None:
        verb = UpsertVerb(
            self._send,
            self._to if to is None else to,
            self._strict if strict is None else strict,
        )
        if not elements and not (to is None and strict is None):
            return verb
        return verb @ _some("upsert", elements)


class RemoveVerb:
    """``remove @ key``, ``remove @ [keys]``, ``remove(*keys)``."""

    __slots__ = ("_send",)

    def __init__(self, send: Send) -> None:
        self._send = send

    def __matmul__(self, keys: str | Sequence[str]) -> None:
        event = Remove(keys)
        for key in event.data["keys"]:
            if isinstance(key, bool) or not isinstance(key, str | int):
                hint = " (an element's is in its .key)" if _is_element(key) else ""
                raise TypeError(
                    f"remove takes a key or a list of keys, got {_what(key)}{hint}; "
                    "use remove @ 'box'"
                )
        self._send(event)

    def __call__(self, key: str | Sequence[str], /, *keys: str | Sequence[str]) -> None:
        self @ Remove(key, *keys).data["keys"]


# ---- what was given


def _elements(verb: str, given: Sequence[Any], *, new: bool = False) -> list[_One]:
    """The elements in it, lists taken apart. ``new``: the page may not know their keys yet."""
    found: list[_One] = []
    for item in given:
        for element in item if isinstance(item, (list, tuple)) else (item,):
            if not _is_element(element):
                raise TypeError(_no_element(verb, element))
            key = _given(element, "key")
            if type(key) is not str or (new and key == _FREEZES):
                _check_key(verb, key, new)
            found.append(element)
    return found


def _check_key(verb: str, key: Any, new: bool) -> None:
    """Of a key that is not the usual string."""
    if key is None:
        return
    if not isinstance(key, str | int | float):
        raise TypeError(must_be(f"the key for {verb}", "a str", key))
    if new and key == _FREEZES:
        raise ValueError(f"{verb}: the key {_FREEZES!r} freezes the page; use another")
    if new and not isinstance(key, str):
        hint = f"a number freezes the page, use {str(key)!r}"
        raise ValueError(must_be(f"the key for {verb}", "a str", key, hint))


def _given(thing: Any, name: str, default: Any = None) -> Any:
    """A property of an element, or of its plain dict."""
    if hasattr(thing, "_serialize"):
        return getattr(thing, name, default)
    return thing.get(name, default)


def _is_element(thing: Any) -> bool:
    if isinstance(thing, (type, Event)):
        return False
    return hasattr(thing, "_serialize") or isinstance(thing, Mapping)


def _no_element(verb: str, thing: Any) -> str:
    if isinstance(thing, Event):
        return f"{verb} takes an element, got an event; use `session @ event`"
    return (
        f"{verb} takes an element, its plain dict, or a list of these, got {_what(thing)}; "
        f"use {verb} @ Box(key='box')"
    )


def _some(verb: str, elements: tuple[Any, ...]) -> list[Any]:
    if not elements:
        raise TypeError(f"{verb} takes an element, or a list of them; use {verb}(Box(key='box'))")
    return [e for item in elements for e in (item if isinstance(item, list | tuple) else (item,))]


def _checked_place(verb: str, to: Any) -> Any:
    if to is None or (isinstance(to, str | int) and not isinstance(to, bool)):
        return to
    raise TypeError(must_be(f"to= of {verb}", "the key of a node, or the name of a slot", to))


def _what(thing: Any) -> str:
    if isinstance(thing, type):
        return f"the class {thing.__name__} itself"
    name = type(thing).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"
