"""The reference's own tests of its events, run on ours; and its maps against our maps."""

import types
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interop.reference_tests import borrow
from vuer_trio import EncodeError, events, schemas
from vuer_trio.codec import decode, make_encoder

pytestmark = pytest.mark.interop

SOURCES = ("test_client_events.py", "test_server_events.py")


BORROWED = borrow("__tests__", SOURCES)


@pytest.fixture(scope="module")
def reference() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from vuer import events as theirs
        from vuer import schemas as their_schemas
    return types.SimpleNamespace(events=theirs, schemas=their_schemas)


@pytest.mark.parametrize("name", BORROWED)
def test_of_the_reference(name: str) -> None:
    BORROWED[name]()


def test_all_of_them_were_found() -> None:
    assert len(BORROWED) >= 45


def test_every_public_name_is_here(reference: Any) -> None:
    theirs = vars(reference.events)
    names = [
        name
        for name, item in theirs.items()
        if not name.startswith("_")
        and getattr(item, "__module__", getattr(type(item), "__module__", "")) == "vuer.events"
    ]
    assert len(names) > 20
    for name in names:
        assert name in events.__all__
        ours, their = getattr(events, name), theirs[name]
        if isinstance(their, type):
            assert getattr(ours, "etype", None) == getattr(their, "etype", None)
            assert [b.__name__ for b in their.__mro__ if b.__name__ in names] == [
                b.__name__ for b in ours.__mro__ if b.__name__ in names
            ]
        else:
            assert type(ours).__name__ == type(their).__name__


# Each is built with the classes of one library, `v` being its events and schemas.
SAME: dict[str, Callable[[Any, Any], Any]] = {
    "client": lambda v, s: v.ClientEvent(etype="X"),
    "client ts": lambda v, s: v.ClientEvent(1.25, etype="X", value=[1], key="k"),
    "client int ts": lambda v, s: v.ClientEvent(1700000000500, etype="X"),
    "client element": lambda v, s: v.ClientEvent(etype="X", value=[s.Element(key="e", a=(1, 2))]),
    "init": lambda v, s: v.InitEvent(session="a"),
    "null": lambda v, s: v.NullEvent(value=1),
    "noop": lambda v, s: v.Noop(note=1),
    "end": lambda v, s: v.End(ts=1.5),
    "set": lambda v, s: v.Set(s.Scene(s.Element(key="c"), key="s")),
    "set data": lambda v, s: v.Set(data={"tag": "Scene"}),
    "set full scene": lambda v, s: v.Set(
        s.Scene(
            s.BlockElement("text", {"tag": "div"}, key="b"),
            rawChildren=s.Element(key="r"),
            htmlChildren=[s.Element(key="h"), None],
            bgChildren=[s.Element(key="g")],
            up=[0, 0, 1],
            background="#fff",
            toneMapping="aces",
            toneMappingExposure=0.5,
            frameloop="demand",
            camPosition=[1, 2, 3],
            camRotation=[0, 0, 1],
            key="s",
            grid=None,
        )
    ),
    "set empty slots": lambda v, s: v.Set(
        s.Scene(rawChildren=[], htmlChildren=[], bgChildren=[], background="", key="s", up=None)
    ),
    "set default scene": lambda v, s: v.Set(s.DefaultScene(key="s")),
    "set default scene, own": lambda v, s: v.Set(
        s.DefaultScene(
            s.Element(key="c"),
            bgChildren=[s.Element(key="g")],
            grid=False,
            key="s",
            toneMapping="aces",
            rawChildren=[s.Element(key="r")],
        )
    ),
    "update": lambda v, s: v.Update(s.Element(key="a", x=np.float32(0.5)), {"key": "b"}),
    "update strict": lambda v, s: v.Update({"key": "b"}, strict=True),
    "add": lambda v, s: v.Add(s.Element(key="a", m=np.eye(2))),
    "add to": lambda v, s: v.Add(s.Element(key="a"), s.Element(key="b"), to="p"),
    "upsert": lambda v, s: v.Upsert(s.Element(key="a", p=Path("a/b.png"))),
    "upsert strict": lambda v, s: v.Upsert({"key": "a"}, to="p", strict=True),
    "remove": lambda v, s: v.Remove("a", "b", note=1),
    "haptic": lambda v, s: v.HapticActuatorPulse(left={"strength": 1.0, "duration": 2.0}, hand=1),
    "rpc": lambda v, s: v.ServerRPC({"x": 1}, uuid="id"),
    "grab": lambda v, s: v.GrabRender(key="cam", quality=0.5),
    "mj step": lambda v, s: v.MjStep(sim_steps=2),
    "mj render": lambda v, s: v.MjRender(),
    "mesh": lambda v, s: v.GetWebXRMesh(ts=5),
}


def steady(wire: Any) -> Any:
    """Without what differs each time; the ids as one fixed id."""
    wire = {key: item for key, item in wire.items() if key != "ts"}
    if isinstance(wire.get("data"), dict) and "etype" in wire["data"]:
        wire["data"] = steady(wire["data"])  # the event in a Frame
    if "uuid" in wire and "rtype" in wire:
        assert str(uuid.UUID(wire["uuid"])) == wire["uuid"]
        wire["rtype"] = wire["rtype"].replace(wire["uuid"], "")
        wire["uuid"] = ""
    return wire


def as_sent_by_reference(event: Any) -> Any:
    wire = event._serialize()
    if isinstance(wire.get("ts"), float):
        wire["ts"] = int(wire["ts"] * 1000)
    return wire


@pytest.mark.parametrize("name", SAME)
def test_same_map(name: str, reference: Any) -> None:
    encode = make_encoder()
    their_event = SAME[name](reference.events, reference.schemas)
    theirs = decode(encode(as_sent_by_reference(their_event)))
    event = SAME[name](events, schemas)
    ours = decode(encode(event.to_wire()))
    assert steady(ours) == steady(theirs)
    assert steady(decode(encode(event._serialize()))) == steady(theirs)
    assert type(ours["ts"]) is int
    if their_event.ts in (1.25, 1.5, 1700000000500):
        assert ours["ts"] == theirs["ts"]
    mixed = decode(encode(SAME[name](events, reference.schemas).to_wire()))
    assert steady(mixed) == steady(theirs)  # their elements in our events


def test_a_frame_is_the_same_and_has_no_place_on_the_wire(reference: Any) -> None:
    theirs, ours = (v.Frame(v.Noop(), frame_rate=30, note=1) for v in (reference.events, events))
    encode = make_encoder()
    assert steady(decode(encode(as_sent_by_reference(ours)))) == steady(
        decode(encode(as_sent_by_reference(theirs)))
    )
    with pytest.raises(EncodeError, match="for a `bind` function"):
        ours.to_wire()


def test_their_elements_are_accepted_as_children(reference: Any) -> None:
    theirs = reference.schemas.Box(key="b", position=np.array([1, 2, 3]))
    scene = schemas.Scene(theirs, bgChildren=[theirs], key="s")
    want = theirs._serialize()
    assert scene._serialize()["children"] == scene._serialize()["bgChildren"] == [want]
    wire = events.ClientEvent(etype="X", value={"deep": [theirs]}).to_wire()
    assert decode(make_encoder()(wire))["value"] == {"deep": [want]}


def test_nested_lists_of_keys_are_taken_apart(reference: Any) -> None:
    nested = reference.events.Remove(["a", "b"])._serialize()["data"]
    assert nested == {"keys": (["a", "b"],)}  # does nothing in the browser
    assert events.Remove(["a", "b"]).to_wire()["data"] == {"keys": ("a", "b")}
