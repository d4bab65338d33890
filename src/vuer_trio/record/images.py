"""The pictures in an event, as encoded files: bytes, or text as ``data:image/jpeg;base64,...``."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Format", "Picture", "picture_in", "pictures_in"]

Format: TypeAlias = Literal["jpeg", "png", "webp"]

_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,")
#: bytes of the start by which a file is known
_HEAD = 12


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: the bytes of its file, unchanged, and where in the event it was.

    ``owner`` is the key of the node that has it or, outside of nodes, the type of the event, and
    its key if it has one; ``name`` is the property: ``rgb``, ``src``, ``frame``.
    """

    owner: str
    name: str
    format: Format
    data: bytes


def format_of(head: bytes) -> Format | None:
    """The format by the first bytes of a file; None for anything but an encoded picture."""
    if head[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return None


def picture_in(value: Any) -> tuple[Format, bytes] | None:
    """A value as a picture, with its format; None if it is not one."""
    if isinstance(value, str):
        found = _DATA_URL.match(value, 0, 64)
        if found is None:
            return None
        try:
            value = b64decode(value[found.end() :], validate=True)
        except (NotBase64, ValueError):  # of characters beyond ASCII
            return None
    elif not isinstance(value, bytes | bytearray | memoryview):
        return None
    kind = format_of(bytes(value[:_HEAD]))
    return None if kind is None else (kind, bytes(value))


def owner_of(event: Mapping[str, Any]) -> str:
    """The owner of a picture that is not in a node."""
    etype = str(event.get("etype", "")).partition("@")[0]
    key = event.get("key")
    return f"{etype}/{key}" if isinstance(key, str) and key else etype


def pictures_in(event: Mapping[str, Any]) -> list[Picture]:
    """All pictures in an event."""
    found: list[Picture] = []
    pending: list[tuple[Any, str, str]] = [(event, owner_of(event), "")]
    while pending:
        value, owner, name = pending.pop()
        if isinstance(value, Mapping):
            owner = node_key(value) or owner
            pending += [(item, owner, key) for key, item in reversed(list(value.items()))]
        elif isinstance(value, list | tuple):
            # Most lists are of numbers, and long.
            kinds = set(map(type, value))
            if not kinds <= {int, float, bool}:
                pending += [(item, owner, name) for item in reversed(value)]
        elif (picture := picture_in(value)) is not None:
            found.append(Picture(owner, name, *picture))
    return found


def node_key(value: Mapping[str, Any]) -> str | None:
    """The key of a node; None for any other map."""
    key = value.get("key")
    if "etype" in value or isinstance(key, bool) or not isinstance(key, str | int | float):
        return None
    return str(key)
