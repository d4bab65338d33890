"""What two servers sent, in a form in which it can be compared."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: of INIT: what differs with the library, and a zone that the reference has no name for in UTC
LEFT_OUT = ("clientVersion", "timezone", "timezoneOffset")
#: an endless stream is cut somewhere: it agrees if so many of its frames do
ENOUGH = 8


def steady(frame: Mapping[str, Any]) -> str:
    """A frame without its time; numbers are those of 32 bits, ids and automatic keys alike."""
    return json.dumps(_steady({k: v for k, v in frame.items() if k != "ts"}), sort_keys=True)


def _steady(value: Any, name: str = "") -> Any:
    if isinstance(value, float):
        try:
            return struct.unpack("<f", struct.pack("<f", value))[0]
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if isinstance(value, str):
        return "#" if name == "key" and value.isdigit() else UUID.sub("<uuid>", value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes {hashlib.sha1(value).hexdigest()[:8]}>"
    if isinstance(value, Mapping):
        return {str(k): _steady(v, str(k)) for k, v in value.items() if k not in LEFT_OUT}
    if isinstance(value, list | tuple):
        return [_steady(item) for item in value]
    return value


def group(frame: str) -> str:
    """What a frame is about: its type and the nodes in it. One group may be an endless stream."""
    wire = json.loads(frame)
    data = wire.get("data")
    nodes = data.get("nodes", ()) if isinstance(data, dict) else ()
    about = [[n.get("tag"), n.get("key")] if isinstance(n, dict) else n for n in nodes]
    to = data.get("to") if isinstance(data, dict) else None
    return json.dumps([wire.get("etype"), to, about])


def agree(
    one: Iterable[str],
    other: Iterable[str],
    *,
    unordered: bool = False,
    endless: bool = False,
    newest: bool = False,
) -> bool:
    """Do two recordings say the same? Each holds a frame once, where it was seen first."""
    one, other = list(one), list(other)
    if newest:
        return set(other) <= set(one) and _lasts(one) == _lasts(other)
    if unordered:
        one, other = sorted(one), sorted(other)
    if one == other or not endless:
        return one == other
    ones, others = _groups(one), _groups(other)
    return set(ones) == set(others) and all(_agree(ones[key], others[key]) for key in ones)


def _agree(one: list[str], other: list[str]) -> bool:
    common = min(len(one), len(other))
    return one == other or (common >= ENOUGH and one[:common] == other[:common])


def _lasts(frames: Iterable[str]) -> dict[str, str]:
    return {key: frames[-1] for key, frames in _groups(frames).items()}


def _groups(frames: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for frame in frames:
        groups.setdefault(group(frame), []).append(frame)
    return groups
