"""Lossless conversion of events to JSON and back.

JSON has no bytes and no infinity. Such values become objects with a single key that begins with
"$":

    {"$bytes": "iVBORw0="}        bytes, in base64
    {"$float": "nan"}             nan, inf or -inf
    {"$ext": [5, "AAA="]}         another msgpack ext type: its number and its data
    {"$map": [["$bytes", 1]]}     a map that would be mistaken for one of these
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from typing import Any

from msgpack import ExtType, Timestamp

from .statuses import CommandFailed, Status

__all__ = ["BadJSON", "brief", "dump", "load", "printable"]

_MARKS = frozenset(("$bytes", "$float", "$ext", "$map"))
_TIMESTAMP = -1  # msgpack's ext type for timestamps


class BadJSON(CommandFailed):
    """Text that is not JSON, or an invalid "$" object; the message says where."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Status.USAGE)


# ---- encoding


def dump(value: Any) -> str:
    """Encode as one line of ASCII. Raises RecursionError for deeply nested data."""
    return json.dumps(_marked(value), allow_nan=False, separators=(",", ":"))


def _marked(value: Any) -> Any:
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in _MARKS:
            return {"$map": [[key, _marked(item)] for key, item in value.items()]}
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": b64encode(value).decode()}
    if isinstance(value, ExtType):
        return {"$ext": [value.code, b64encode(value.data).decode()]}
    if isinstance(value, Timestamp):
        return {"$ext": [_TIMESTAMP, b64encode(value.to_bytes()).decode()]}
    return [_marked(item) for item in value]


# ---- decoding


def load(text: str, where: str) -> Any:
    """Decode a JSON text. Messages of BadJSON start with ``where``."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as exc:
        place = (
            f"column {exc.colno}" if exc.lineno == 1 else f"line {exc.lineno}, column {exc.colno}"
        )
        shown = text[max(0, exc.pos - 20) : exc.pos + 20].strip()
        raise BadJSON(f"{where}, {place}: {exc.msg}: {shown!r}{_hint(text)}") from None
    except RecursionError:
        raise BadJSON(f"{where}: nested too deeply") from None
    except ValueError as exc:  # a number with thousands of digits
        raise BadJSON(f"{where}: {exc}") from None
    try:
        return _unmarked(value, "")
    except RecursionError:
        raise BadJSON(f"{where}: nested too deeply") from None
    except ValueError as exc:
        raise BadJSON(f"{where}: {exc}") from None


def _hint(text: str) -> str:
    word = text.strip()
    if word.isidentifier():
        return f"; a string needs its own quotes: '\"{word}\"'"
    return "; strings have double quotes in JSON" if "'" in text and '"' not in text else ""


def _unmarked(value: Any, path: str) -> Any:
    if isinstance(value, list):
        return [_unmarked(item, f"{path}[{n}]") for n, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((mark, inside),) = value.items()
        if mark in _MARKS:
            return _from_mark(mark, inside, f"{path}.{mark}".lstrip("."))
    return {key: _unmarked(item, f"{path}.{key}".lstrip(".")) for key, item in value.items()}


def _from_mark(mark: str, inside: Any, path: str) -> Any:
    match mark, inside:
        case "$bytes", str():
            return _bytes(inside, path)
        case "$float", "nan" | "inf" | "-inf":
            return float(inside)
        case "$ext", [int() as code, str() as data]:
            body = _bytes(data, path)
            try:
                return Timestamp.from_bytes(body) if code == _TIMESTAMP else ExtType(code, body)
            except ValueError as exc:
                raise ValueError(f"{path}: {exc}") from None
        case "$map", list():
            if all(isinstance(p, list) and len(p) == 2 and isinstance(p[0], str) for p in inside):
                return {key: _unmarked(item, f"{path}.{key}") for key, item in inside}
    wanted = {
        "$bytes": "base64 in a string",
        "$float": '"nan", "inf" or "-inf"',
        "$ext": "a number and base64 in a string",
        "$map": "a list of pairs",
    }
    raise ValueError(f"{path} must be {wanted[mark]}")


def _bytes(text: str, path: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as exc:
        raise ValueError(f"{path}: not base64: {exc}") from None


# ---- display

#: maximum characters to show of a name chosen by a peer
NAME = 100


def printable(text: str, limit: int | None = None) -> str:
    """Make a peer's text safe for a terminal: one line, control characters escaped, and cut off
    after ``limit`` characters."""
    cut = text if limit is None or len(text) <= limit else f"{text[:limit]}…"
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in cut)


def brief(value: Any, limit: int | None = None) -> str:
    """Format a value on one line, bytes as their count; cut off after ``limit`` characters."""
    parts: list[str] = []
    _pieces(value, parts, math.inf if limit is None else limit)
    text = "".join(parts)
    return text if limit is None or len(text) <= limit else text[: max(0, limit - 1)] + "…"


def _pieces(value: Any, parts: list[str], room: float) -> float:
    """Append to ``parts`` until ``room`` characters are used; return the rest of ``room``."""
    if isinstance(value, dict):
        marks = "{}"
    elif isinstance(value, list | tuple) and not isinstance(value, ExtType):
        marks = "[]"
    else:
        text = _atom(value, room)
        parts.append(text)
        return room - len(text)
    parts.append(marks[0])
    comma = ""
    for item in value:
        if room < 0:  # a mesh has millions of values
            break
        parts.append(comma)
        room -= len(comma)
        comma = ", "
        if marks == "{}":
            key = _atom(item, room)
            parts.append(f"{key}: ")
            room -= len(key) + 2
            item = value[item]
        room = _pieces(item, parts, room)
    parts.append(marks[1])
    return room - 2


def _atom(value: Any, room: float) -> str:
    if isinstance(value, str):
        cut = value if room == math.inf else value[: int(max(room, 0)) + 1]
        return printable(json.dumps(cut, ensure_ascii=False))
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value):,} bytes>"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return printable(str(value))
