"""Events that arrive: how they read, copy and go out again; and images in events."""

import base64
import copy
import io
import pickle
import sys
import time
from typing import Any

import pytest
from PIL import Image

from vuer_trio import ProtocolError
from vuer_trio.codec import make_encoder
from vuer_trio.events import (
    ClientEvent,
    Event,
    ServerEvent,
    received_client_event,
    received_server_event,
)

encode = make_encoder()
RECEIVERS = [received_client_event, received_server_event]
HOSTILE = [
    "self",
    "cls",
    "to_wire",
    "image",
    "raw",
    "_serialize",
    "_deserialize",
    "_map",
    "_take",
    "_hidden",
    "_reserved",
    "_side",
    "_ts",
    "dropped_before",
    "__class__",
    "__dict__",
    "__eq__",
    "__deepcopy__",
    "__reduce__",
    "__getattr__",
    "__nothing__",
]


class Pose(ClientEvent):
    etype = "POSE"


class Tick(ServerEvent):
    etype = "TICK"


def arrived(receive: Any = received_server_event, **keys: Any) -> Any:
    return receive(encode({"etype": "X", **keys}))


def test_the_two_kinds() -> None:
    server, client = arrived(), arrived(received_client_event)
    assert isinstance(server, ServerEvent)
    assert not isinstance(server, ClientEvent)
    assert isinstance(client, ClientEvent)
    assert not isinstance(client, ServerEvent)
    for receive in RECEIVERS:
        with pytest.raises(ProtocolError):
            receive(b"\xc1")


@pytest.mark.parametrize("receive", RECEIVERS)
def test_reading(receive: Any) -> None:
    event = arrived(receive, ts=1500, data={"a": 1}, key="k", strict=False)
    assert event.etype == "X"
    assert event == "X"
    assert hash(event) == hash("X")
    assert event.data == event.value == {"a": 1}
    assert event.raw == {"etype": "X", "ts": 1500, "data": {"a": 1}, "key": "k", "strict": False}
    assert (event.key, event.strict) == ("k", False)
    assert not hasattr(event, "nope")
    with pytest.raises(AttributeError, match="'nope'"):
        event.nope
    assert arrived(receive, value=None, data=1).value is None
    assert arrived(receive, value=5).data is None
    assert arrived(receive).value is None


@pytest.mark.parametrize("receive", RECEIVERS)
@pytest.mark.parametrize(
    ("ts", "seconds"),
    [
        (1795212933238, 1795212933.238),
        (1, 0.001),
        (0, 0.0),
        (-5, -0.005),
        (1795213276.766, 1795213276.766),
        (1795213276766.0, 1795213276.766),
        (1e11, 1e11),
        (-2.5, -2.5),
    ],
)
def test_ts_is_read_in_seconds(ts: Any, seconds: float, receive: Any) -> None:
    event = arrived(receive, ts=ts)
    assert event.ts == seconds
    assert type(event.ts) is float
    wire = event.to_wire()
    assert wire["ts"] == (ts if type(ts) is int else int(seconds * 1000))


@pytest.mark.parametrize("receive", RECEIVERS)
@pytest.mark.parametrize(
    "ts",
    [
        {},
        {"ts": None},
        {"ts": "now"},
        {"ts": True},
        {"ts": float("nan")},
        {"ts": float("inf")},
        {"ts": [1]},
    ],
)
def test_without_a_ts_it_is_the_time_of_receipt(ts: Any, receive: Any) -> None:
    before = time.time()
    event = arrived(receive, **ts)
    after = time.time()
    time.sleep(0.002)
    assert before <= event.ts <= after
    assert event.ts == event.ts
    assert event.to_wire()["ts"] == int(event.ts * 1000)


def test_what_is_set_on_a_received_event() -> None:
    event = arrived(ts=5, data=1)
    assert event.dropped_before == 0
    event.dropped_before = 3
    event.ts = 7.5
    event.note = "n"
    assert (event.dropped_before, event.ts, event.note) == (3, 7.5, "n")
    assert event.to_wire() == {"etype": "X", "ts": 7500, "data": 1, "note": "n"}
    assert arrived(dropped_before=9).dropped_before == 0


def test_a_received_event_goes_out_again() -> None:
    event = arrived(ts=1795212933238, data=[1], key="k")
    assert event.to_wire() == event.raw == event._serialize()
    assert received_server_event(encode(event.to_wire())).raw == event.raw
    assert event.to_wire() is not event.raw


@pytest.mark.parametrize("receive", RECEIVERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_received_key_hides_nothing(name: str, receive: Any) -> None:
    event = arrived(receive, **{name: "hostile"})
    assert event.raw[name] == "hostile"
    assert event.to_wire()[name] == "hostile"
    assert event._serialize()[name] == "hostile"
    assert event == "X"
    assert event.dropped_before == 0
    assert callable(event.image)
    for twin in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert twin.raw == event.raw


@pytest.mark.parametrize("receive", RECEIVERS)
def test_copies(receive: Any) -> None:
    event = arrived(receive, value=[1], key="k")
    event.dropped_before = 2
    event.note = [1]
    deep = copy.deepcopy(event)
    for twin in (copy.copy(event), deep, pickle.loads(pickle.dumps(event))):
        assert type(twin) is type(event)
        assert (twin.raw, twin.ts, twin.key) == (event.raw, event.ts, "k")
        assert (twin.dropped_before, twin.note) == (2, [1])
    assert deep.raw["value"] is not event.raw["value"]
    assert deep.note is not event.note
    empty = type(event).__new__(type(event))
    assert not hasattr(empty, "anything")


# -- images --------------------------------------------------------------------------------------


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(file, "JPEG")
    return file.getvalue()


BASE64 = base64.b64encode(jpeg()).decode()


@pytest.mark.parametrize(
    "value",
    [
        jpeg(),
        bytearray(jpeg()),
        memoryview(jpeg()),
        BASE64,
        f"data:image/jpeg;base64,{BASE64}",
        {"frame": jpeg(), "width": 4},
        {"frame": f"data:image/jpeg;base64,{BASE64}"},
    ],
)
def test_image(value: Any) -> None:
    for event in (
        arrived(received_client_event, value=value),
        arrived(data=value),
        Pose(value=value),
        Tick(value),
    ):
        assert event.image().size == (4, 3)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "must be an image, got NoneType"),
        ([1], "must be an image, got list"),
        ({"width": 4}, "must be an image, got NoneType"),
        (b"none", "4 bytes are not an image"),
        (jpeg()[:-40], "are not an image"),
        ("a", "not base64"),
        ("ü", "not base64"),
        ("data:text/plain,hello", "no"),
    ],
)
def test_no_image(value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Pose(value=value).image()
    with pytest.raises(ValueError, match="NoneType"):
        Event().image()


def test_image_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Pose(value=jpeg())
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"vuer-trio\[image\]"):
        event.image()
