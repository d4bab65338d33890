"""How entries and snapshots are written: msgpack, in the fields of a stream's entries.

- ``c``: changes by one process: ``[writer, number of the first, [payload, ...]]``
- ``f``: the journal begins here: its epoch, a random value
- ``s``: there is a snapshot, at the id that this is
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgpack import packb, unpackb

from .link import Entry, place_of

__all__ = [
    "SNAPSHOT_FIELD",
    "Changes",
    "Damaged",
    "Founding",
    "Snapshot",
    "SnapshotMark",
    "encode_changes",
    "encode_founding",
    "parse_entry",
    "parse_snapshot",
]

_VERSION = 1
_CHANGES, _FOUNDING = b"c", b"f"
#: the field of an entry that says so
SNAPSHOT_FIELD = b"s"
#: bytes of the name of a writer or an epoch
_LONGEST_NAME = 64
#: of one writer; no number that can be written is reached
_MOST_CHANGES = 1 << 62


class Damaged(ValueError):
    """An entry is not one of ours; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes by one process, numbered from ``first``."""

    writer: bytes
    first: int
    payloads: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Founding:
    """A journal begins."""

    epoch: bytes


@dataclass(frozen=True, slots=True)
class SnapshotMark:
    """A snapshot was made, so that what comes before ``at`` need not be read any more."""

    at: bytes


@dataclass(slots=True)
class Snapshot:
    """Everything that is known after the entry ``at``."""

    at: bytes
    epoch: bytes
    #: writer: the number of its newest change, and the millisecond of that
    writers: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    state: bytes = b""

    def encode(self) -> bytes:
        writers = [[name, *known] for name, known in self.writers.items()]
        return _packed([_VERSION, self.at, self.epoch, writers, self.state])


def _packed(value: Any) -> bytes:
    packed: bytes = packb(value)
    return packed


def encode_changes(writer: bytes, first: int, payloads: Sequence[bytes]) -> dict[bytes, bytes]:
    """The fields of an entry."""
    return {_CHANGES: _packed([writer, first, payloads])}


def encode_founding(epoch: bytes) -> dict[bytes, bytes]:
    """The fields of the first entry."""
    return {_FOUNDING: epoch}


def parse_entry(entry: Entry, max_size: int) -> Changes | Founding | SnapshotMark:
    """What an entry says. Raises Damaged."""
    fields: Mapping[bytes, bytes] = entry.fields
    if len(fields) != 1:
        raise Damaged(f"it has {len(fields)} fields, and not the one of this library")
    ((name, value),) = fields.items()
    if len(value) > max_size:
        raise Damaged(f"it is too large: {len(value):,} bytes, of at most {max_size:,}")
    if name == _CHANGES:
        return _changes(value)
    if name == _FOUNDING and 0 < len(value) <= _LONGEST_NAME:
        return Founding(value)
    if name == SNAPSHOT_FIELD:
        return SnapshotMark(_checked_id(value))
    raise Damaged("it has no field of this library")


def _changes(value: bytes) -> Changes:
    match _unpacked(value):
        case [bytes(writer), int(first), list(payloads)] if (
            0 < len(writer) <= _LONGEST_NAME
            and type(first) is int
            and 0 < first < _MOST_CHANGES
            and payloads
            and all(type(payload) is bytes for payload in payloads)
        ):
            return Changes(writer, first, payloads)
    raise Damaged("it does not hold changes as this library writes them")


def parse_snapshot(data: bytes) -> Snapshot:
    """Raises Damaged."""
    match _unpacked(data):
        case [int(version), *_] if version != _VERSION:
            raise Damaged(f"it has version {version}, not {_VERSION}, of another vuer-trio")
        case [_, bytes(at), bytes(epoch), list(writers), bytes(state)]:
            found = Snapshot(_checked_id(at), epoch, {}, state)
            for one in writers:
                match one:
                    case [bytes(name), int(number), int(ms)] if 0 <= number < 2 * _MOST_CHANGES:
                        found.writers[name] = (number, ms)
                    case _:
                        raise Damaged("it does not name its writers")
            return found
    raise Damaged("it is none that this library writes")


def _checked_id(value: bytes) -> bytes:
    try:
        place_of(value)
    except ValueError:
        raise Damaged("it names no entry") from None
    return value


def _unpacked(value: bytes) -> Any:
    try:
        return unpackb(value, strict_map_key=False)
    except Exception as exc:  # msgpack has many
        raise Damaged(f"it is not msgpack ({type(exc).__name__})") from None
