"""How deep JSON may nest, and how much it may hold, is said here and not by the interpreter."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vuer_trio import ProtocolError
from vuer_trio._http import Answer
from vuer_trio._json import TooDeep, TooMany, check_json, parse_json
from vuer_trio._websocket.transport import Text
from vuer_trio.arc.message import parse_message
from vuer_trio.arc.relay.reading import Unreadable, read_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('a"\\[]{},:\n', max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('a"[', max_size=3), inner, max_size=3)
    ),
    max_leaves=30,
)


def number(obj: Any) -> int:
    if isinstance(obj, dict):
        return 1 + sum(1 + number(item) for item in obj.values())
    return 1 + sum(map(number, obj)) if isinstance(obj, list) else 1


def nested(depth: int, inside: str = "") -> str:
    return "[" * depth + inside + "]" * depth


@settings(max_examples=100)
@given(values, st.integers(0, 100))
def test_what_is_within_the_bounds_is_read_as_ever(obj: Any, spaces: int) -> None:
    text = json.dumps(obj, indent=spaces % 3 or None)
    # an empty list and its bracket are one; the comma or the colon before it is another
    most = 2 * number(obj) + 1
    assert parse_json(text, most) == obj


@settings(max_examples=100)
@given(values, st.integers(0, 30))
def test_what_holds_too_much_is_refused(obj: Any, most: int) -> None:
    if number(obj) > most:
        with pytest.raises(TooMany):
            parse_json(json.dumps(obj), most)


@pytest.mark.parametrize("inside", ["", "0", '"[[[["', '"\\"["', "{}", '{"a":[]}'])
@pytest.mark.parametrize("limit", [sys.getrecursionlimit(), 20_000])
def test_the_depth_is_64_whatever_the_interpreter_takes(inside: str, limit: int) -> None:
    own = {"{}": 1, '{"a":[]}': 2}.get(inside, 0)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        assert parse_json(nested(64 - own, inside)) is not None
        for depth in (65 - own, 900, 5000):
            with pytest.raises(TooDeep, match="more than 64 deep"):
                parse_json(nested(depth, inside))
            with pytest.raises(TooDeep):
                parse_json("[" * (depth + own))  # whether it is JSON or not
        assert len(parse_json("[" + ",".join(["[[]]"] * 100) + "]")) == 100  # wide, not deep
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("text", ['"' + '\\"' * 300_000, '"\\' * 200_000, '"' * 500_001, '"\\'])
def test_strings_that_are_never_closed_are_looked_at_once(text: str) -> None:
    """A search from each quote in them would take an hour."""
    check_json(text, 10)


def test_every_reader_of_json_keeps_the_bounds() -> None:
    deep = '{"to":["a"],"payload":' + nested(64) + "}"
    wide = "[" + "0," * (1 << 19) + "0]"
    assert parse_message(deep.replace(nested(64), nested(63)).encode()).to == ["a"]
    for text, why in ((deep, "nests more than 64 deep"), (wide, "more than 524,288 values")):
        with pytest.raises(ProtocolError, match=why) as refused:
            parse_message(text.encode())
        assert refused.value.too_large
        assert refused.value.frame == text.encode()
        assert Answer(200, {}, text.encode()).json == {}
    with pytest.raises(Unreadable, match="Nested too deeply"):
        read_json(deep)
    with pytest.raises(Unreadable, match="More than 131072 values"):
        read_json(wide)


def test_numbers_that_are_too_long_are_no_json() -> None:
    with pytest.raises(ProtocolError, match="a number is too long") as refused:
        parse_message(b'{"to":["a"],"payload":' + b"1" * 5000 + b"}")
    assert not refused.value.too_large
    with pytest.raises(ProtocolError, match="it is not UTF-8"):
        parse_message(b"\xff")
    assert read_json("1" * 5000) is None  # as a double has it: infinite


def test_roomz() -> None:
    pytest.importorskip("socketio")
    from vuer_trio.roomz.packets import decode

    name = '42["joined",{"room":%s}]'
    assert decode(Text((name % nested(62)).encode())).data[0] == "joined"
    for body in (nested(63), nested(5000), "[" + "0," * (1 << 19) + "0]"):
        with pytest.raises(ProtocolError, match=r"malformed packet \(it (nests|holds) more than"):
            decode(Text((name % body).encode()))
    with pytest.raises(ProtocolError):
        decode(Text(("0" + '{"a":' * 100 + "1" + "}" * 100).encode()))
