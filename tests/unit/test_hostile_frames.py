"""Whatever the bytes: an event, or a ProtocolError that holds them."""

import copy
import json
import pickle
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import DATA
from vuer_trio import EncodeError, ProtocolError
from vuer_trio.codec import decode, make_encoder
from vuer_trio.events import ClientEvent, Event, received_client_event, received_server_event

RECORDED = [
    bytes.fromhex(frame["hex"])
    for frame in json.loads((DATA / "vuer.json").read_text())
    if frame.get("hex") and len(frame["hex"]) < 1000
]
NAMES = [
    "self",
    "cls",
    "ts",
    "raw",
    "etype",
    "value",
    "data",
    "key",
    "_ts",
    "_map",
    "_side",
    "_hidden",
    "_serialize",
    "_deserialize",
    "to_wire",
    "image",
    "dropped_before",
    "__class__",
    "__dict__",
    "__getattr__",
    "__deepcopy__",
    "__reduce_ex__",
    "__setstate__",
    "__len__",
    "__bool__",
    "__iter__",
    "__array__",
    "__slots__",
    "__init__",
]
METHODS = ("to_wire", "image", "_serialize")

moderate = settings(max_examples=100)
encode = make_encoder()

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=5))
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)
maps = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), values, max_size=8)
recorded = st.sampled_from(RECORDED)
headers = st.sampled_from(
    [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xdc\xff\xff",
     b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x05", b"\xc7\x0c\xff", b"\xd7\xff", b"\xc1",
     b"\x81\x01\x01", b"\x91" * 700, b"\x81\xa1a" * 700, b"\x81\x90", b"\xd4\x00\x00", b"\xa1\xff"]
)  # fmt: skip


def holds(payload: bytes) -> None:
    """What must be true of any message."""
    refusal = None
    try:
        raw = decode(payload)
    except ProtocolError as error:
        refusal = error
    if refusal is not None:
        assert refusal.frame == payload
        assert type(refusal.frame) is bytes
        assert f"{len(payload)} bytes" in str(refusal)
        for receive in (received_client_event, received_server_event):
            with pytest.raises(ProtocolError):
                receive(payload)
        return
    assert type(raw) is dict
    assert type(raw["etype"]) is str
    for receive in (received_client_event, received_server_event):
        check(receive(payload))


def check(event: Any) -> None:
    raw = event.raw
    assert isinstance(event, Event)
    assert event.etype == raw["etype"]
    assert event == raw["etype"]
    assert hash(event) == hash(raw["etype"])
    assert repr(event).startswith(("client<", "server<"))
    assert type(event.ts) is float
    assert event.dropped_before == 0
    assert event.value is raw.get("value", raw.get("data"))
    assert event.data is raw.get("data")
    for name in METHODS:
        assert callable(getattr(event, name))
    for name in raw:
        if isinstance(name, str) and not hasattr(type(event), name) and name[:2] != "__":
            assert getattr(event, name) is raw[name]
    assert not hasattr(event, "no such key here")
    wire = event.to_wire()
    assert wire.keys() >= raw.keys()
    assert type(wire["ts"]) is int
    refused = ""
    try:
        again = decode(encode(wire))
    except EncodeError as error:
        refused = str(error)
        assert "nested too deeply" in refused or "a map key must be a string" in refused
    assert refused or again["etype"] == raw["etype"]
    assert event._serialize().keys() == raw.keys()
    assert copy.copy(event).raw is raw
    try:
        twin = pickle.loads(pickle.dumps(event))
    except RecursionError:  # nested deeper than pickle goes
        return
    assert twin.raw.keys() == raw.keys()
    assert twin.ts == event.ts


@moderate
@given(st.binary(max_size=60))
def test_any_bytes(payload: bytes) -> None:
    holds(payload)


@moderate
@given(recorded, st.data())
def test_truncated(payload: bytes, data: st.DataObject) -> None:
    cut = payload[: data.draw(st.integers(0, len(payload)))]
    holds(cut)


@moderate
@given(recorded, st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4))
def test_mutated(payload: bytes, changes: list[tuple[int, int]]) -> None:
    message = bytearray(payload)
    for place, byte in changes:
        message[place % len(message)] = byte
    holds(bytes(message))


@moderate
@given(recorded, headers, st.data())
def test_something_inserted(payload: bytes, insert: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(payload)))
    holds(payload[:at] + insert + payload[at:])


@moderate
@given(headers, st.binary(max_size=10))
def test_a_hostile_value(value: bytes, rest: bytes) -> None:
    holds(b"\x82\xa5etype\xa1X\xa5value" + value + rest)


@moderate
@given(maps, st.text(max_size=5))
def test_any_map(keys: dict[str, Any], etype: str) -> None:
    payload = msgpack.packb({**keys, "etype": etype})
    holds(payload)
    for receive in (received_client_event, received_server_event):
        assert repr(receive(payload).raw) == repr(decode(payload))


@moderate
@given(st.dictionaries(st.integers() | st.binary(max_size=3) | st.none() | st.booleans(),
                       scalars, min_size=1, max_size=2))  # fmt: skip
def test_keys_that_are_not_strings(keys: dict[Any, Any]) -> None:
    try:
        payload = msgpack.packb({"etype": "X", "value": keys})
    except OverflowError:
        return
    holds(payload)


@moderate
@given(maps)
def test_any_key_goes_out(keys: dict[str, Any]) -> None:
    extra = {name: item for name, item in keys.items() if name not in ("ts", "value", "etype")}
    event = ClientEvent(5, etype="X", value=1, **extra)
    wire = event.to_wire()
    assert sorted(wire) == sorted({**extra, "ts": 5, "etype": "X", "value": 1})
    assert all(wire[name] is item for name, item in extra.items())
    assert decode(encode(wire)).keys() == wire.keys()
    for name in METHODS:
        assert callable(getattr(event, name))


times = (
    st.floats()
    | st.sampled_from([-1.7e308, 1.7e308, -9.3e15, 9.3e18, 9.2e18, -0.0, 1e11, 5e-324])
    | st.integers(-(2**63), 2**64 - 1)
    | scalars
)


@moderate
@given(times)
def test_any_time(ts: Any) -> None:
    """What a peer says the time is, is passed on, or is now."""
    payload = msgpack.packb({"etype": "X", "ts": ts})
    holds(payload)
    for receive in (received_client_event, received_server_event):
        wire = receive(payload).to_wire()
        assert -(2**63) <= wire["ts"] < 2**64
        assert decode(encode(wire)) == wire


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), "noon", None, 1e300])
def test_a_time_that_is_none_is_an_encode_error_at_the_call(seconds: Any) -> None:
    event = received_client_event(msgpack.packb({"etype": "X", "ts": 5}))
    event.ts = seconds
    with pytest.raises(EncodeError, match="ts"):
        encode(event.to_wire())


@pytest.mark.parametrize("depth", [100, 510, 1000, 1100, 100_000])
def test_depth(depth: int) -> None:
    holds(b"\x82\xa5etype\xa1X\xa5value" + b"\x91" * depth + b"\xc0")
    holds(b"\x82\xa5etype\xa1X\xa4data" + b"\x81\xa1a" * depth + b"\xc0")
