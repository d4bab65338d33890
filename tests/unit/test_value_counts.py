"""How many values a message holds, told before any is built; and what is refused for it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vuer_trio import ProtocolError
from vuer_trio._values import FREE, count_values
from vuer_trio.codec import MOST_VALUES, decode
from vuer_trio.events import received_client_event, received_server_event

X = b"\x82\xa5etype\xa1X\xa5value"

atoms = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.text("ab", min_size=250, max_size=300)
    | st.binary(max_size=40)
    | st.builds(bytes, st.sampled_from([255, 256]))
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20))
    | st.builds(msgpack.Timestamp, st.integers(0, 2**40), st.integers(0, 999_999_999))
)
large = st.builds(bytes, st.sampled_from([65_535, 65_536]))
values = st.lists(large, max_size=3) | st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(st.text(max_size=5), inner, max_size=20)
        | st.builds(lambda one, n: [one] * n, inner, st.integers(14, 40))
        | st.builds(lambda some, n: [some] * n, st.lists(inner, max_size=4), st.integers(14, 40))
    ),
    max_leaves=10,
)


def number(obj: Any) -> int:
    if isinstance(obj, dict):
        return 1 + sum(1 + number(item) for item in obj.values())
    if isinstance(obj, list):
        return 1 + sum(map(number, obj))
    return 16 if isinstance(obj, msgpack.ExtType | msgpack.Timestamp) else 1


@settings(max_examples=200)
@given(values, st.integers(1, 50))
def test_every_value_is_counted_once(obj: Any, cut: int) -> None:
    payload = msgpack.packb(obj)
    for form in (payload, bytearray(payload), memoryview(payload)):
        assert count_values(form, 2**60) == number(obj)
    assert count_values(payload[:-cut], 2**60) <= number(obj)


@settings(max_examples=200)
@given(st.binary(max_size=80), st.integers(0, 50))
def test_any_bytes_are_counted_as_far_as_they_go(payload: bytes, most: int) -> None:
    count_values(payload, most)


BOMBS = {
    "empty maps": b"\xdd\x00\x20\x00\x00" + b"\x80" * (1 << 21),
    "empty lists": b"\xdd\x00\x20\x00\x00" + b"\x90" * (1 << 21),
    "lists of lists": b"\xdc\xff\xff" + (b"\xdc\x00\x40" + b"\x91\xc0" * 64) * 65_535,
    "extensions": b"\xdd\x00\x02\x00\x00" + b"\xd4\x05x" * (1 << 17),
    "keys": b"\xdf\x00\x10\x00\x00" + b"\xa3key\xc0" * (1 << 20),
    "numbers": b"\xdd\x00\x20\x00\x00" + (b"\xcb" + bytes(8)) * (1 << 21),
    "claims": b"\xdd\x00\x02\x00\x00" * 400 + bytes(FREE),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_anything_is_built(name: str) -> None:
    payload = X + BOMBS[name]
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="more than 1,048,576 values: send") as refused:
            decode(payload)
        assert tracemalloc.get_traced_memory()[1] < len(payload) * 2 + 100_000
    finally:
        tracemalloc.stop()
    assert refused.value.too_large
    assert refused.value.frame == payload


def test_what_is_large_and_holds_little_passes() -> None:
    for value in (
        bytes(16 << 20),
        "x" * (16 << 20),
        [0.5] * 200_000,
        [[0.5, 1.5, 2.5]] * 50_000,
        [bytes(100_000)] * 50,
        {f"b{n}": {"key": "box", "position": [0.1, 0, 1]} for n in range(20_000)},
    ):
        payload = msgpack.packb({"etype": "X", "value": value})
        assert decode(payload, 1 << 18)["value"] == value


def test_the_bound_is_exact_and_that_of_whoever_decodes() -> None:
    size = 1 << 18
    payload = X + b"\xdd" + (size - 5).to_bytes(4) + b"\xc0" * (size - 5)
    assert count_values(payload, size) == size  # with the map, its two keys, the etype, the list
    assert len(decode(payload, size)["value"]) == size - 5
    for refuse in (decode, received_client_event, received_server_event):
        assert refuse(payload) is not None
        with pytest.raises(ProtocolError) as refused:
            refuse(payload, size - 1)
        assert refused.value.too_large
    more = X + b"\xdd" + MOST_VALUES.to_bytes(4) + b"\xc0" * MOST_VALUES
    assert len(decode(more, None)["value"]) == MOST_VALUES


def test_an_error_keeps_nothing_of_what_was_built() -> None:
    for payload in (b"\xdd\x00\x01\x00\x00" + b"\x80" * 65_536, X + b"\xc0\xc0", b"\x81\xa1a\x90"):
        with pytest.raises(ProtocolError) as refused:
            decode(payload)
        assert not refused.value.too_large
        frames, traceback = [], refused.value.__traceback__
        while traceback is not None:
            frames.append(traceback.tb_frame)
            traceback = traceback.tb_next
        for frame in frames[1:]:
            assert not any(isinstance(item, dict | list) for item in frame.f_locals.values())
        assert getattr(refused.value.__cause__, "unpacked", None) is None
