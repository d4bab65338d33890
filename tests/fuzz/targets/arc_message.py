"""JSON that an agent or a relay gets: the bounded reader, and the interpreter's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from vuer_trio import EncodeError, ProtocolError
from vuer_trio._json import DEPTH, MOST_VALUES, TooDeep, TooMany, check_json
from vuer_trio.arc.message import encode_message, parse_message
from vuer_trio.arc.relay.reading import Unreadable, is_falsy, read_json

MAX_LEN = 600
_FEW = 20  # values, for a bound that inputs of this size reach


def seeds() -> Iterator[bytes]:
    message = {"id": "1", "from": "a", "to": ["b", "*"], "payload": {"x": [1, 2.5, None, True]}}
    yield json.dumps(message | {"ts": 5, "type": "data", "ref": "2", "more": 'é\n"\\'}).encode()
    yield '{"to": ["relay"], "payload": "é\\ud800", "type": 1}'.encode()
    yield b'{"payload": 123456789012345678901234567890, "to": "a", "ts": 1e400, "from": -1E+20}'
    yield b"[NaN, Infinity, -Infinity, -0.0, 0, 1e5, 9007199254740993, 1.7976931348623159e308]"
    yield b'"' + b"\\" * 41 + b"[[{{,:"
    yield b"[" * 70 + b"]" * 70
    yield b'{"a":' * 63 + b"1" + b"}" * 63
    yield b"\xef\xbb\xbf{}"
    yield b'{"a": "\xff"}'
    yield json.dumps([[n, str(n)] for n in range(12)]).encode()


def one_input(data: bytes) -> None:
    try:
        text: str | None = data.decode()
    except UnicodeDecodeError:
        text = None
    value: Any = None
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError) as exc:
        value = exc
    check_message(data, value)
    if text is not None:
        check_bounds(text, value)
        check_relay(text, value)


def check_message(data: bytes, value: Any) -> None:
    try:
        message = parse_message(data)
    except ProtocolError as exc:
        assert exc.frame == data
        assert not isinstance(value, dict) or depth(value) > DEPTH or size(value) > MOST_VALUES
        return
    assert isinstance(value, dict)
    assert repr(dict(message)) == repr(value)
    repr(message), message.extra, message.ts, message.to
    assert all(type(name) is str for name in message.to)
    try:
        again = parse_message(encode_message(["a"], message.payload))
    except EncodeError:  # what is no JSON, though the interpreter reads it
        assert any(word in data for word in (b"NaN", b"Infinity", b"e", b"E"))
    else:
        assert again.payload == message.payload


def check_bounds(text: str, value: Any) -> None:
    """Nothing within the bounds is refused, nothing over them passes."""
    try:
        check_json(text, _FEW)
        told = None
    except (TooDeep, TooMany) as exc:
        told = type(exc)
    if isinstance(value, Exception):
        return
    pairs = json.loads(text, object_pairs_hook=Pairs)
    if size(pairs) > _FEW:
        assert told is TooMany, (told, size(pairs))
    elif told is TooMany:
        assert size(pairs) + empty(pairs) > _FEW, (told, size(pairs))
    try:
        check_json(text)
        too_deep = False
    except TooDeep:
        too_deep = True
    assert too_deep == (depth(pairs) > DEPTH), depth(pairs)


def check_relay(text: str, value: Any) -> None:
    try:
        found = read_json(text)
    except Unreadable as exc:
        assert str(exc)
        assert (
            isinstance(value, Exception)
            or depth(value) > DEPTH
            or any(name in text for name in ("NaN", "Infinity"))
        ), f"{exc}: {text!r}"
        return
    assert is_falsy(found) in (True, False)
    assert not isinstance(value, Exception) or "too long" in str(value) or "limit" in str(value), (
        f"{text!r}: {value!r}"
    )
    json.dumps(found, allow_nan=False)
    if not isinstance(value, Exception):
        assert shape(found) == shape(value)


class Pairs(list):  # type: ignore[type-arg]
    """An object, with all of its names."""


def size(value: Any) -> int:
    if isinstance(value, Pairs):
        return 1 + sum(1 + size(item) for _, item in value)
    if isinstance(value, dict):
        return 1 + sum(1 + size(item) for item in value.values())
    return 1 + sum(map(size, value)) if isinstance(value, list) else 1


def empty(value: Any) -> int:
    """Lists and objects with nothing in them, which may count twice."""
    inside = [item for _, item in value] if isinstance(value, Pairs) else value
    if not isinstance(inside, list):
        return 0
    return 1 if not inside else sum(map(empty, inside))


def depth(value: Any) -> int:
    if isinstance(value, Pairs):
        value = [item for _, item in value]
    inside = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, inside), default=0) if isinstance(value, dict | list) else 0


def shape(value: Any) -> Any:
    """Without the numbers, which a relay rounds."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    is_number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return 0 if is_number else value
