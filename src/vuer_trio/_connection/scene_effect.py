"""The effect of an encoded event on a scene, read from its bytes without decoding values.

Two events that overwrite the same nodes can be merged into one, by joining pieces of both.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any, Final

from msgpack import Unpacker

from .._scene_tree import SLOTS, identity, named
from .._websocket.transport import Prepared

__all__ = ["VERBS", "Effect", "Verb", "effect_of", "merged"]

#: the event types that change a scene
VERBS: Final = frozenset(("SET", "ADD", "UPDATE", "UPSERT", "REMOVE"))
#: a key that the page rejects for a new node
_ROOT: Final = "root"
_IS_SLOT: Final = frozenset(SLOTS)
#: top-level keys that do not change what an event does
_NO_MATTER: Final = ("ts", "strict")


class Verb(Enum):
    """The kind of effect of a queued event."""

    #: it neither changes nor depends on the scene
    NONE = "none"
    #: it may concern every node: SET, REMOVE, a request, an UPSERT without key, an invalid event
    ALL = "all"
    #: it changes the nodes it names, in a way that no other event can express
    ADD = "add"
    #: it overwrites fields of the existing nodes with its keys
    UPDATE = "update"
    #: it does the same, and creates missing nodes
    UPSERT = "upsert"


@dataclass(slots=True)
class Part:
    """The fields of one node in an event, as ranges of the payload that include the name."""

    fields: dict[str, tuple[int, int]]
    #: the fields that hold nodes
    slots: frozenset[str]


@dataclass(slots=True)
class Effect:
    """The effect of one event. ``parent`` is the key of the node named by ``to``, if any."""

    verb: Verb
    #: where it looks for its nodes: None for anywhere, the name of a slot, or ``parent``
    to: Hashable | None = None
    parent: Hashable | None = None
    #: the parts by node key, in order
    parts: dict[Hashable, Part] = field(default_factory=dict)
    #: the keys of nodes in slots, at any depth
    nested: frozenset[Hashable] = frozenset()
    #: the range of the list of nodes in the payload
    place: tuple[int, int] = (0, 0)
    #: the fields that hold nodes, in any part
    slots: frozenset[str] = frozenset()
    #: a unique number
    number: int = field(default_factory=count().__next__)
    #: the number of the effect that it was last merged with, and the result, for other queues
    merged: tuple[int, bytes] | None = None

    @property
    def overwrites(self) -> bool:
        """Whether it only overwrites fields of nodes, or creates nodes."""
        return self.verb is Verb.UPSERT or self.verb is Verb.UPDATE

    @property
    def touched(self) -> Iterable[Hashable]:
        """The keys of the nodes that it changes, creates or removes."""
        yield from self.parts
        yield from self.nested
        if self.verb is Verb.ADD and self.parent is not None:
            yield self.parent  # its list of children may be replaced

    def covers(self, earlier: Effect) -> bool:
        """Whether it sets all fields that an earlier event sets, of the same nodes in order."""
        return (
            self.verb is earlier.verb
            and list(self.parts) == list(earlier.parts)
            and all(
                part.fields.keys() >= earlier.parts[key].fields.keys()
                for key, part in self.parts.items()
            )
        )


_ALL = Effect(Verb.ALL)
_NONE = Effect(Verb.NONE)


def effect_of(message: bytes) -> Effect:
    """Return the effect of a message in an outbox; for a framed message, it is cached."""
    if not isinstance(message, Prepared):
        return _read(message)
    effect = message.effect
    if effect is None:
        effect = message.effect = _read(message.payload)
    assert isinstance(effect, Effect)
    return effect


def _read(payload: bytes) -> Effect:
    try:
        return _Reader(payload).read()
    except Exception:  # invalid: its effect is unknown
        return _ALL


class _Reader:
    def __init__(self, payload: bytes) -> None:
        size = len(payload)
        self._payload = payload
        self._unpacker: Any = Unpacker(max_buffer_size=size, read_size=size, strict_map_key=False)
        self._unpacker.feed(payload)
        self._odd = False  # it contains something that is not understood here
        self._asks = False
        self._to: Any = None
        self._keys: list[Hashable] = []
        self._parts: list[Part] = []
        self._nested: list[Hashable] = []
        self._place: tuple[int, int] | None = None

    def read(self) -> Effect:
        unpacker, etype = self._unpacker, None
        for _ in range(unpacker.read_map_header()):
            name = unpacker.unpack()
            if name == "etype":
                etype = unpacker.unpack()
            elif name == "data" and self._at_map():
                self._read_data()
            else:
                self._odd |= name not in _NO_MATTER
                self._asks |= name in ("rtype", "uuid")
                unpacker.skip()
        if etype not in VERBS:
            return _ALL if self._asks or type(etype) is not str else _NONE
        if etype in ("SET", "REMOVE") or self._place is None:
            return _ALL
        return self._found(Verb[etype])

    def _found(self, verb: Verb) -> Effect:
        to = self._to if verb is not Verb.UPDATE and named(self._to) else None
        parent = None
        if to is not None and not (isinstance(to, str) and to in _IS_SLOT):
            to = parent = identity(to)
            if parent is None:
                return _ALL
        if verb is Verb.ADD:  # a new node needs no key
            named_parts = [n for n, part in enumerate(self._parts) if "key" in part.fields]
            self._keys = [self._keys[n] for n in named_parts]
            self._parts = [self._parts[n] for n in named_parts]
        keys, nested = set(self._keys), frozenset(self._nested)
        if None in keys or _ROOT in keys or _ROOT in nested:
            return _ALL  # the root, nodes that the page ignores, or that freeze it
        slots = frozenset().union(*(part.slots for part in self._parts))
        if verb is not Verb.ADD:
            if slots and (self._odd or len(self._parts) > 1 or nested & keys):
                return _ALL  # one of its nodes may remove another
            if self._odd or len(keys) != len(self._parts):
                verb = Verb.ADD  # it does more than set fields of nodes
        parts = dict(zip(self._keys, self._parts, strict=True))
        place = self._place or (0, 0)
        return Effect(verb, to, parent, parts, nested, place, slots)

    # ---- parsing

    def _at_map(self) -> bool:
        first = self._payload[self._unpacker.tell()]
        return first & 0xF0 == 0x80 or first in (0xDE, 0xDF)

    def _at_array(self) -> bool:
        first = self._payload[self._unpacker.tell()]
        return first & 0xF0 == 0x90 or first in (0xDC, 0xDD)

    def _read_data(self) -> None:
        unpacker = self._unpacker
        for _ in range(unpacker.read_map_header()):
            name = unpacker.unpack()
            if name == "nodes" and self._at_array():
                start = unpacker.tell()
                for _ in range(unpacker.read_array_header()):
                    self._read_node()
                self._place = start, unpacker.tell()
            elif name == "to":
                self._to = unpacker.unpack()
            else:
                self._odd |= name not in _NO_MATTER
                unpacker.skip()

    def _read_node(self) -> None:
        unpacker = self._unpacker
        key: Hashable | None = None
        fields, slots = {}, []
        if not self._at_map():
            self._keys.append(None)
            self._parts.append(Part({}, frozenset()))
            unpacker.skip()
            return
        for _ in range(unpacker.read_map_header()):
            start = unpacker.tell()
            name = unpacker.unpack()
            if name == "key":
                key = identity(unpacker.unpack())
            elif name in _IS_SLOT:
                slots.append(name)
                self._nested += _keys_in(unpacker.unpack())
            else:
                unpacker.skip()
            fields[name] = start, unpacker.tell()
        self._keys.append(key)
        self._parts.append(Part(fields, frozenset(slots)))


def _keys_in(slot: Any) -> list[Hashable]:
    """The keys of the nodes in a slot, recursively."""
    keys: list[Hashable] = []
    pending = [slot]
    while pending:
        slot = pending.pop()
        for node in slot if isinstance(slot, list) else ():
            if isinstance(node, dict):
                if "key" in node:
                    keys.append(identity(node["key"]))
                pending += [node[name] for name in SLOTS if name in node]
    return keys


# ---- merging


def merged(old: bytes, new: bytes, keys: Iterable[Hashable]) -> bytes:
    """Return ``old`` with the fields of ``new`` for the nodes ``keys``, which both contain."""
    was, then, wanted = effect_of(old), effect_of(new), set(keys)
    both = isinstance(old, Prepared) and isinstance(new, Prepared)
    whole = both and then.parts.keys() == wanted
    if whole and then.merged is not None and then.merged[0] == was.number:
        return then.merged[1]
    before = old.payload if isinstance(old, Prepared) else old
    after = new.payload if isinstance(new, Prepared) else new
    pieces = [_header(len(was.parts), 0x90, 15, 0xDC)]
    for key, part in was.parts.items():
        own = {name: before[slice(*place)] for name, place in part.fields.items()}
        if key in wanted:
            for name, place in then.parts[key].fields.items():
                if name != "key" or then.verb is Verb.UPSERT:  # an UPDATE does not change the key
                    own[name] = after[slice(*place)]
        pieces += (_header(len(own), 0x80, 15, 0xDE), *own.values())
    start, end = was.place
    message = before[:start] + b"".join(pieces) + before[end:]
    if not whole:
        return message
    assert isinstance(new, Prepared)
    from .._websocket.frames import prepare  # a C extension that few programs need

    framed = prepare(message)
    framed.account = account = new.account
    if account is not None:
        account.shared += len(framed)
    then.merged = was.number, framed
    return framed


def _header(size: int, fixed: int, most: int, code: int) -> bytes:
    """The msgpack header of a list or a map."""
    if size <= most:
        return bytes((fixed | size,))
    if size < 65_536:
        return bytes((code,)) + size.to_bytes(2, "big")
    return bytes((code + 1,)) + size.to_bytes(4, "big")
