"""A recording as JSON lines.

    {"time": 1700000000.125, "published": 1700000000.12, "direction": "received",
     "etype": "SET", "event": {"etype": "SET", "ts": ..., "data": ...}}

on one line, for each message. A value that JSON cannot express is an object with one key that
starts with "$":

    {"$bytes": "iVBORw0="}        bytes, in base64
    {"$float": "nan"}             nan, inf or -inf
    {"$ext": [5, "AAA="]}         another msgpack ext type: its number and its data
    {"$map": [["$bytes", 1]]}     a map that would be mistaken for one of these

A numpy array is a list on the wire already, and stays one. A message that is not an event has an
empty etype, ``"event": null``, and its bytes in ``"payload"``.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

from msgpack import ExtType, Timestamp

from .._errors import ProtocolError
from .entry import Entry

__all__ = ["json_lines", "plain_json"]

_MARKS = frozenset(("$bytes", "$float", "$ext", "$map"))
_TIMESTAMP = -1  # msgpack's ext type for timestamps


def json_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield each entry as a line of JSON, without the newline."""
    for entry in entries:
        line: dict[str, Any] = {
            "time": entry.time,
            "published": entry.published,
            "direction": entry.direction,
            "etype": entry.etype,
        }
        try:
            line["event"] = plain_json(entry.event)
            text = json.dumps(line, allow_nan=False)
        except (ProtocolError, RecursionError):  # msgpack may be nested deeper than JSON
            line |= {"etype": "", "event": None, "payload": plain_json(entry.payload)}
            text = json.dumps(line)
        yield text


def plain_json(value: Any) -> Any:
    """Convert a value returned by `codec.decode` to JSON types."""
    if isinstance(value, float):
        return value if isfinite(value) else {"$float": str(value)}
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in _MARKS:
            return {"$map": [[key, plain_json(item)] for key, item in value.items()]}
        return {key: plain_json(item) for key, item in value.items()}
    if isinstance(value, ExtType):  # also a tuple, so checked first
        return {"$ext": [value.code, b64encode(value.data).decode()]}
    if isinstance(value, Timestamp):
        return {"$ext": [_TIMESTAMP, b64encode(value.to_bytes()).decode()]}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": b64encode(value).decode()}
    return value
