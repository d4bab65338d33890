"""A message of msgpack: what `decode` makes of it, and msgpack itself; the count of its values; and
that what was decoded can be sent again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgpack

from vuer_trio import EncodeError, ProtocolError
from vuer_trio._received import received_client_event, received_server_event
from vuer_trio._values import count_values
from vuer_trio.codec import as_plain_extension, decode, make_encoder, plain

MAX_LEN = 600
_ENCODE = make_encoder()
_SINGLE = make_encoder("single")
#: values, from which the count stops
_MOST = 1 << 20


def seeds() -> Iterator[bytes]:
    values: list[Any] = [
        None,
        [1.5, -2.5, 3.0] * 16,
        [[1, 2, 3], [4, 5, 6]] * 10,
        {"position": [0, 1, 2], "key": "box", "nested": {"a": [{"b": b"c" * 300}]}},
        [True, False, None, "é", b"\0", -1, -200, -70_000, -(2**40), 2**64 - 1, 300, 70_000],
        msgpack.Timestamp(5, 6),
        [msgpack.ExtType(0, b""), msgpack.ExtType(5, b"12345678"), msgpack.ExtType(6, b"x" * 17)],
        ["x" * 40, "y" * 300, list(range(20)), dict.fromkeys(map(str, range(20)), 1)],
        [math.nan, math.inf, 1e300],
    ]
    for value in values:
        yield msgpack.packb({"etype": "SET", "ts": 1.5, "value": value, "data": value, "uuid": "u"})
    yield msgpack.packb({"etype": 1})
    yield msgpack.packb({b"etype": "A", "etype": "B", "ts": 2**63, "key": "k", "rtype": "R@1"})
    yield msgpack.packb({"etype": "A"}) + b"\xc1"
    yield b"\xdd\xff\xff\xff\xff" + b"\x91" * 60
    yield b"\x82\xa5etype\xa1A\xa1b\xc1"


def one_input(data: bytes) -> None:
    try:
        raw: Any = msgpack.unpackb(data, ext_hook=as_plain_extension)
    except Exception as exc:
        raw = exc
    good = isinstance(raw, dict) and type(raw.get("etype")) is str
    try:
        found = decode(data)
    except ProtocolError as exc:
        assert not good, f"{raw!r} is refused: {exc}"
        assert exc.frame == data
        assert not exc.too_large
        found = None
    else:
        assert good, f"{raw!r} is taken"
        assert same(found, raw)
    check_count(data, isinstance(raw, Exception))
    check_views(data, found)
    if found is not None:
        check_sending(found)


def check_count(data: bytes, bad: bool) -> None:
    counted = count_values(data, _MOST)
    if not bad:
        assert counted == size(data), (counted, size(data))
    for most in (
        0,
        1,
        *((counted - 1, counted) if counted <= _MOST else ()),
    ):  # whether it is more does not depend on the bound
        assert (count_values(data, most) > most) == (counted > most)


def size(data: bytes) -> int:
    """The values, with keys that come twice."""

    def of(value: Any) -> int:
        if isinstance(value, Pairs):
            return 1 + sum(of(item) for pair in value for item in pair)
        if isinstance(value, list):
            return 1 + sum(map(of, value))
        return 16 if isinstance(value, msgpack.ExtType | msgpack.Timestamp) else 1

    return of(msgpack.unpackb(data, object_pairs_hook=Pairs, strict_map_key=False))


class Pairs(list):  # type: ignore[type-arg]
    """A map, with all of its keys."""


def check_views(data: bytes, found: dict[str, Any] | None) -> None:
    for view in (received_client_event, received_server_event):
        try:
            event = view(data)
        except ProtocolError:
            assert found is None
            continue
        assert found is not None
        repr(event), event.etype, type(event.ts) in (int, float) or 1 / 0
        for name in ("value", "data", "key", "uuid", "rtype"):
            getattr(event, name, None)
        assert event == found["etype"]


def check_sending(found: dict[str, Any]) -> None:
    keys_are_text = has_text_keys(found)
    try:
        again = decode(_ENCODE(found))
    except EncodeError:
        assert not keys_are_text or depth(found) > 100
    else:
        assert keys_are_text
        assert same(again, found)
    try:
        _SINGLE(found)
    except EncodeError as exc:
        assert "32-bit" in str(exc) or not keys_are_text or depth(found) > 100
    assert same(plain(found), found)


def has_text_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and has_text_keys(item) for key, item in value.items())
    if isinstance(value, msgpack.ExtType):
        return True
    return not isinstance(value, list) or all(map(has_text_keys, value))


def depth(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inside), default=0)


def same(one: Any, other: Any) -> bool:
    """Equal, of the same types, NaN too."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=False)
        return len(one) == len(other) and all(a == c and same(b, d) for (a, b), (c, d) in pairs)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (one != one and other != other)
