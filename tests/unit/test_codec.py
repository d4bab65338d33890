"""Plain data ↔ bytes."""

import datetime
import math
import pathlib
import pickle
import re
import struct
from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vuer_trio import EncodeError, ProtocolError
from vuer_trio.codec import decode, make_encoder, plain

double = make_encoder("double")
single = make_encoder("single")


def sent(value: Any, encode: Any = double) -> Any:
    return decode(encode({"etype": "X", "value": value}))["value"]


class Node:
    def __init__(self, result: Any) -> None:
        self.result = result

    def _serialize(self) -> Any:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result() if callable(self.result) else self.result


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (np.arange(3), [0, 1, 2]),
        (np.array([[1.5, 2.5]]), [[1.5, 2.5]]),
        (np.array(7), 7),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("s"), "s"),
        (np.array([Node({"tag": "Box"}), None], dtype=object), [{"tag": "Box"}, None]),
        (np.array([(1, 2.5)], dtype="i4,f8"), [[1, 2.5]]),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcdef")[1:3], b"bc"),
        (memoryview(b"abcdef")[::2], b"ace"),
        ([{"deep": (memoryview(b"abcdef")[::-1],)}], [{"deep": [b"fedcba"]}]),
        (Node({"v": memoryview(b"abcdef")[::2]}), {"v": b"ace"}),
        ((1, (2, None)), [1, [2, None]]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        ({"src": pathlib.PurePosixPath("a.png")}, {"src": "a.png"}),
        (Node({"tag": "Box"}), {"tag": "Box"}),
        ({"a": [{"b": Node([Node("leaf")])}]}, {"a": [{"b": ["leaf"]}]}),
        (Node(Node(np.arange(2))), [0, 1]),
        (-(2**63), -(2**63)),
        (2**64 - 1, 2**64 - 1),
        (math.inf, math.inf),
        (msgpack.Timestamp(1, 2), msgpack.Timestamp(1, 2)),
        (msgpack.ExtType(5, b"ab"), msgpack.ExtType(5, b"ab")),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", repr(value)),
)
def test_what_goes_out_arrives(value: Any, arrives: Any) -> None:
    for encode in (double, single):
        if encode is double or arrives != 0.1:  # 0.1 has no exact 32-bit form
            assert sent(value, encode) == arrives
            assert type(sent(value, encode)) is type(arrives)
    assert sent(plain(value)) == arrives


def test_float_precision() -> None:
    assert sent(0.1) == 0.1
    assert sent(0.1, single) == struct.unpack(">f", struct.pack(">f", 0.1))[0]
    assert math.isnan(sent(math.nan))
    assert len(double({"value": 0.5})) == len(single({"value": 0.5})) + 4
    assert make_encoder()({"value": 0.1}) == double({"value": 0.1})
    with pytest.raises(ValueError, match="'half'"):
        make_encoder("half")  # type: ignore[arg-type]  # the point of the test


def nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def cycle() -> Any:
    loop: dict[str, Any] = {}
    loop["self"] = [loop]
    return loop


def endless() -> Any:
    return Node(endless)


class Shy:
    """Breaks differently each time it is looked at."""

    def _serialize(self) -> Any:
        raise KeyError("gone")


class OnlyOnce:
    def __init__(self) -> None:
        self.asked = 0

    def _serialize(self) -> Any:
        self.asked += 1
        return {1} if self.asked == 1 else 1


class Unlistable(dict[str, Any]):
    """A dict that can be walked once."""

    walked = 0

    def items(self) -> Any:
        self.walked += 1
        if self.walked > 1:
            raise RuntimeError("changed")
        return super().items()


BAD = [
    ({"pose": [1, 2, {3}]}, "value.pose[2]", "a set"),
    ([0, datetime.datetime(2020, 1, 1)], "value[1]", "a datetime"),
    ({"a b": {"c": 1j}}, "value['a b'].c", "a complex"),
    (2**64, "value", "64 bits"),
    ([-(2**63) - 1], "value[0]", "64 bits"),
    (Node({1}), "value", "a set (from a Node)"),
    ({"n": object()}, "value.n", "an object"),
    ({"n": Node}, "value.n", "the class Node"),
    (np.complex128(1j), "value", "complex128"),
    (np.array(["2020-01-01"], dtype="datetime64[D]"), "value[0]", "a date"),
    (np.longdouble(1), "value", "longdouble"),
    ({"k": Node(ZeroDivisionError("oh"))}, "value.k", "ZeroDivisionError"),
    ({"k": Node(TypeError("oh"))}, "value.k", "TypeError('oh')"),
    ({"k": Node({"deep": [{1}]})}, "value.k.deep[0]", "a set"),
    ({"k": Node({1: 2})}, "value.k[1]", "got an int"),
    (Node({"a": {1: 2}}), "value.a[1]", "got an int"),
    ({1: 2}, "value[1]", "got an int"),
    ({"a": {"b": {2: 1}}}, "value.a.b[2]", "got an int"),
    ([{1: 2}], "value[0][1]", "got an int"),
    ([{"a": 1}, {b"b": 2}], "value[1][b'b']", "got a bytes"),
    ({None: 1}, "value[None]", "got a NoneType"),
    ({(1, 2): 1}, "value[(1, 2)]", "got a tuple"),
    ({"m": memoryview(b"abcd")[::2], "s": {1}}, "value.s", "a set"),
    ({"m": memoryview(b"abcd")[::2], 1: 1}, "value[1]", "got an int"),
    ({"v": {1: 1}, "m": memoryview(b"abcd")[::2]}, "value.v[1]", "got an int"),
    ("\ud800", "value", "surrogates"),
    ({"\ud800": 1}, "value['\\ud800']", "surrogates"),
    (nest(2000), "value[0][0][0][0][0][0][0]...", "deep"),
    (cycle(), "value.self[0].self[0].self[0].self...", "holds itself"),
    (endless(), "value", "a Node"),
    (OnlyOnce(), "", "a set"),
    (Unlistable(a={1}), "", "a set"),
    (Shy(), "value", "gone"),
]


@pytest.mark.parametrize("encode", [double, single], ids=["double", "single"])
@pytest.mark.parametrize(("value", "path", "says"), BAD, ids=[f"{i}" for i in range(len(BAD))])
def test_what_can_not_go_out_is_named(value: Any, path: str, says: str, encode: Any) -> None:
    if isinstance(value, OnlyOnce):
        value.asked = 0
    if isinstance(value, Unlistable):
        value.walked = 0
    with pytest.raises(EncodeError) as caught:
        encode({"etype": "X", "value": value, "x": 1})
    error = caught.value
    assert error.path == path
    assert says in str(error)
    assert str(error).startswith(path)
    assert error.__cause__ is not None
    assert isinstance(error, TypeError)
    assert pickle.loads(pickle.dumps(error)).path == path
    assert encode({"etype": "X"}) == msgpack.packb({"etype": "X"})  # and works on


def test_single_floats_have_a_range() -> None:
    assert sent({"far": [1e300]}) == {"far": [1e300]}
    with pytest.raises(EncodeError, match=r"value\.far\[1\]: 1e\+300 .*double") as caught:
        sent({"far": [1.0, 1e300]}, single)
    assert isinstance(caught.value.__cause__, OverflowError)


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        ({"etype": "X", 1: 2}, "[1]"),
        ({"etype": "X", "data": {1: 2}}, "data[1]"),
        ({"etype": "X", "data": {"nodes": ({"key": "a"}, {"p": {1: 2}})}}, "data.nodes[1].p[1]"),
        ({"etype": "X", "data": [{1: 2}]}, "data[0][1]"),
        ({"etype": "X", "data": {"m": {2: 1}}}, "data.m[2]"),
        ({"etype": "X", "data": {"nodes": [Node({"p": [{1: 2}]})]}}, "data.nodes[0].p[0][1]"),
    ],
)
def test_a_key_that_is_no_string_does_not_go_out(wire: Any, path: str) -> None:
    with pytest.raises(EncodeError, match="a map key must be a string") as caught:
        double(wire)
    assert caught.value.path == path


class _Map(dict[Any, Any]):
    pass


def _places(item: Any) -> Any:
    """Wherever a map can be: the message that holds it, and its path."""
    for path, value in {
        "value": item,
        "value[0]": [item],
        "value[0][0]": [[item]],
        "value[2]": [0.5, 1.5, item],
        "value[20]": [0.5] * 20 + [item],
        "value[1][1]": [[0.5, 1.5], [0.5, item]],
        "value[30][1]": [[0.5, 1.5]] * 30 + [[0.5, item]],
        "value[0][0][0][0][0][0]": [[[[[[item]]]]]],
        "value.a[0].b[0]": {"a": [{"b": [item]}]},
        "value.joints[1]": {"joints": [0.1, item]},
        "value.joints[20]": {"joints": [0.1] * 20 + [item]},
        "value.joints[0][0]": {"joints": ([item],)},
        "value.rows[9]": {"rows": [[0.5, 1.5]] * 9 + [item]},
        "value.m.m[0]": {"m": _Map(m=[item])},
        "value[1]": ("a", item, 1),
        "value[0].a": [_Map(a=item)],
    }.items():
        yield {"etype": "X", "ts": 1, "value": value}, path
        yield {"etype": "X", "ts": 1, "value": value, "key": "k"}, path
        yield {"etype": "X", "ts": 1, "data": value}, path.replace("value", "data")
        yield {"etype": "X", "ts": 1, "value": 1, "more": value}, path.replace("value", "more")
        yield {"etype": "X", "ts": 1, "value": Node(value)}, path
        yield {"etype": "X", "ts": 1, "value": [0.5, Node([value])]}, f"value[1][0]{path[5:]}"


@pytest.mark.parametrize("key", [1, 0.5, None, True, b"a"])
@pytest.mark.parametrize("kind", [dict, _Map])
def test_a_key_that_is_no_string_is_found_wherever_it_is(key: Any, kind: Any) -> None:
    for wire, path in _places(kind({"a": 1, key: 0.5})):
        with pytest.raises(EncodeError, match="a map key must be a string") as caught:
            double(wire)
        assert caught.value.path == f"{path}[{key!r}]"
    for wire, _ in _places(kind({"a": 1, "b": [0.5]})):
        assert double(wire)


@given(
    st.recursive(
        st.none() | st.integers(-5, 5) | st.floats(0, 1) | st.text(max_size=2),
        lambda inner: (
            st.lists(inner, max_size=12)
            | st.dictionaries(st.sampled_from("abc") | st.integers(0, 1), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_any_message_goes_out_if_every_key_is_a_string(value: Any) -> None:
    def good(obj: Any) -> bool:
        if isinstance(obj, dict):
            return all(isinstance(key, str) and good(item) for key, item in obj.items())
        return not isinstance(obj, list) or all(map(good, obj))

    wire = {"etype": "X", "ts": 1, "value": value}
    if good(value):
        assert decode(double(wire)) == wire
    else:
        with pytest.raises(EncodeError, match="a map key must be a string"):
            double(wire)


def test_what_adds_up_to_anything_hides_no_key() -> None:
    class Anything:
        def _serialize(self) -> float:
            return 1.5

        def __add__(self, other: object) -> Any:
            return self

        __radd__ = __add__

    for value in ([0.5] * 9 + [Anything(), {1: 2}], [[0.5] * 3] * 9 + [[0.5, Anything(), {1: 2}]]):
        with pytest.raises(EncodeError, match="a map key must be a string"):
            double({"etype": "X", "ts": 1, "value": value})


def test_keys_of_a_str_subclass_go_out() -> None:
    class Name(str):
        pass

    wire = {Name("etype"): "X", Name("value"): {Name("a"): {Name("b"): 1}}, "data": {Name("c"): 1}}
    assert decode(double(wire)) == {"etype": "X", "value": {"a": {"b": 1}}, "data": {"c": 1}}
    assert double({"value": [{"a": 1}, 5], "data": {"nodes": [{"a": 1}, 5], "to": None}})


@pytest.mark.parametrize("wire", [[1], ["etype"], None, "text"])
def test_a_message_is_a_map(wire: Any) -> None:
    with pytest.raises(EncodeError, match="a message must be a map, got"):
        double(wire)


def test_a_serialize_may_encode() -> None:
    inner: list[bytes] = []

    def again() -> Any:
        inner.append(encode({"etype": "INNER", "value": Node(lambda: [Node("x"), 1.5])}))
        return "outer"

    encode = make_encoder()
    wire = {"etype": "X", "value": {"a": 1, "b": Node(again), "c": [Node(again), 3]}}
    assert decode(encode(wire)) == {
        "etype": "X",
        "value": {"a": 1, "b": "outer", "c": ["outer", 3]},
    }
    assert [decode(payload)["value"] for payload in inner] == [["x", 1.5]] * 2


def test_a_failure_inside_a_serialize_that_encodes() -> None:
    def again() -> Any:
        with pytest.raises(EncodeError, match=r"value\[0\]"):
            encode({"value": [{1}]})
        raise LookupError("outer")

    encode = make_encoder()
    with pytest.raises(EncodeError, match=r"value: Node failed with LookupError\('outer'\)"):
        encode({"value": Node(again)})
    assert encode({"value": 1}) == msgpack.packb({"value": 1})


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_is_not_about_the_data_is_not_an_encode_error(error: type[BaseException]) -> None:
    with pytest.raises(error):
        double({"value": [1, Node(error())]})
    assert double({"value": 1}) == msgpack.packb({"value": 1})


def test_the_search_looks_past_what_is_too_deep() -> None:
    with pytest.raises(EncodeError) as caught:
        double({"deep": nest(100), "wrong": {1}})
    assert caught.value.path == "wrong"


def test_plain() -> None:
    view = memoryview(b"ab")
    odd = {1, 2}
    got = plain({"a": (1, Node([np.float32(1)])), "v": view, "odd": odd, "ext": Node, "n": None})
    assert got == {"a": [1, [1.0]], "v": view, "odd": odd, "ext": Node, "n": None}
    assert got["odd"] is odd
    assert plain(msgpack.ExtType(1, b"")) == msgpack.ExtType(1, b"")
    with pytest.raises(ZeroDivisionError):
        plain([Node(ZeroDivisionError())])


# -- in ------------------------------------------------------------------------------------------

X = b"\x82\xa5etype\xa1X\xa1v"  # {"etype": "X", "v": ...


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (b"\xd4\x00\x00", None),  # undefined
        (b"\xd5\x05ab", msgpack.ExtType(5, b"ab")),
        (b"\xd6\xff\x00\x00\x00\x01", msgpack.Timestamp(1)),
        (b"\xde\x00\x01\xa1a\x01", {"a": 1}),  # not minimal, as the browser sends all maps
        (b"\xdf\x00\x00\x00\x00", {}),
        (b"\xcb" + struct.pack(">d", 0.1), 0.1),
        (b"\x81\xa4self\x01", {"self": 1}),
    ],
)
def test_decode(value: bytes, arrives: Any) -> None:
    for kind in (bytes, bytearray, memoryview):
        assert decode(kind(X + value)) == {"etype": "X", "v": arrives}


def messages() -> Iterator[tuple[str, bytes, str]]:
    yield "empty", b"", "empty"
    yield "cut", b"\x82\xa5etype\xa1X", "truncated"
    yield "more", b"\x81\xa5etype\xa1X\xc0\xc0", "2 trailing bytes"
    yield "0xc1", b"\xc1", "a byte that msgpack does not use"
    yield "list", b"\x91\x01", "expected a map, got a list"
    yield "int", b"\x05", "expected a map, got an int"
    yield "nil", b"\xc0", "expected a map, got a NoneType"
    yield "str", b"\xa1X", "expected a map, got a str"
    yield "bin", b"\xc4\x01X", "expected a map, got a bytes"
    yield "ext", b"\xd4\x05X", "expected a map, got an ExtType"
    yield "timestamp", b"\xd6\xff\x00\x00\x00\x01", "expected a map, got a Timestamp"
    yield "undefined", b"\xd4\x00\x00", "expected a map, got a NoneType"
    yield "no etype", b"\x81\xa1a\x01", "no etype"
    yield "etype nil", b"\x81\xa5etype\xc0", "etype is not a string"
    yield "etype bin", b"\x81\xa5etype\xc4\x01X", "etype is not a string"
    yield "int key", X + b"\x81\x01\x02", "a map key that is not a string"
    yield "list key", X + b"\x81\x90\x02", "a map key that is not a string"
    yield "undefined key", X + b"\x81\xd4\x00\x00\x02", "a map key that is not a string"
    yield "utf-8", X + b"\xa2\xff\xfe", "not UTF-8"
    yield "surrogate", X + b"\xa3\xed\xa0\x80", "not UTF-8"
    yield "deep", X + b"\x91" * 5000, "nested too deeply"
    yield "huge array", X + b"\xdd\xff\xff\xff\xff", "truncated"
    yield "huge map", X + b"\xdf\xff\xff\xff\xff", "truncated"
    yield "huge str", X + b"\xdb\xff\xff\xff\xff", "truncated"
    yield "huge bin", X + b"\xc6\xff\xff\xff\xff", "truncated"
    yield "huge ext", X + b"\xc9\xff\xff\xff\xff\x05", "truncated"
    yield "timestamp range", X + b"\xd7\xff" + b"\xff" * 8, "not msgpack"
    yield "timestamp length", X + b"\xc7\x05\xff" + bytes(5), "not msgpack"
    yield "reserved ext", X + b"\xd4\x80\x00", "not msgpack"


BAD_MESSAGES = list(messages())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize(
    ("payload", "says"), [m[1:] for m in BAD_MESSAGES], ids=[m[0] for m in BAD_MESSAGES]
)
def test_refused(payload: bytes, says: str, kind: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(kind(payload))
    error = caught.value
    assert error.frame == payload
    assert type(error.frame) is bytes
    assert says in str(error)
    assert f"(a message of {len(payload)} bytes)" in str(error)
    assert (error.__cause__ is None) == (says == "etype is not a string")
    assert isinstance(error, ValueError)


def test_claimed_lengths_are_not_allocated() -> None:
    import tracemalloc

    claim = b"\xdd\x00\x01\x00\x00"  # an array of 65,536, in each of 400 levels
    payload = X + claim * 400 + bytes(65_536)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="truncated"):
            decode(X + b"\xdd\x7f\xff\xff\xff" + bytes(1000))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        with pytest.raises(ProtocolError, match="more than 1,048,576 values") as refused:
            decode(payload)
        assert refused.value.too_large
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_text_is_not_a_message() -> None:
    with pytest.raises(TypeError):
        decode("text")  # type: ignore[arg-type]  # the point of the test
