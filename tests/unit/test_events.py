"""Events: how they are made, what goes out, and how those that arrive read."""

import copy
import pickle
import sys
import time
import weakref
from typing import Any

import numpy as np
import pytest

from vuer_trio import EncodeError
from vuer_trio import events as catalogue
from vuer_trio.codec import decode, make_encoder
from vuer_trio.events import (
    END,
    INIT,
    NOOP,
    NULL,
    Add,
    ClientEvent,
    Event,
    Frame,
    GrabRender,
    HapticActuatorPulse,
    InitEvent,
    MjRender,
    Noop,
    NullEvent,
    Remove,
    ServerEvent,
    ServerRPC,
    Set,
    Update,
    Upsert,
    canonical,
    received_client_event,
    received_server_event,
)
from vuer_trio.schemas import Element, Scene

encode = make_encoder()


class Pose(ClientEvent):
    etype = "POSE"
    value = [0, 0, 0]  # noqa: RUF012 - as documented


class Tick(ServerEvent):
    etype = "TICK"


def arrived(receive: Any = received_server_event, **keys: Any) -> Any:
    return receive(encode({"etype": "X", **keys}))


# -- made here -----------------------------------------------------------------------------------


def test_a_client_event() -> None:
    before = time.time()
    pose = Pose()
    assert before <= pose.ts <= time.time()
    assert pose.value == [0, 0, 0]
    assert Pose(value=None).value is None
    assert Pose(12.5).ts == Pose(ts=12.5).ts == 12.5
    assert Pose(etype="OTHER").etype == "OTHER"
    assert Pose(arm="left").arm == "left"
    assert not hasattr(pose, "arm")
    with pytest.raises(TypeError):
        Pose(1.0, [1, 2, 3])  # type: ignore[misc]  # the value is a keyword, as in the reference
    assert weakref.ref(pose)() is pose


def test_ts_goes_out_in_milliseconds() -> None:
    assert Pose(1.2345).to_wire()["ts"] == 1234
    assert Pose(np.float64(1.5)).to_wire()["ts"] == 1500
    assert Pose(1700000000500).to_wire()["ts"] == 1700000000500
    assert type(Pose().to_wire()["ts"]) is int
    assert Pose(1.5)._serialize()["ts"] == 1.5
    for bad in (float("nan"), float("inf")):
        with pytest.raises(EncodeError, match=r"^ts: ") as caught:
            Pose(bad).to_wire()
        assert caught.value.path == "ts"


def test_what_goes_out() -> None:
    assert Pose(1, arm="left").to_wire() == {
        "ts": 1,
        "etype": "POSE",
        "value": [0, 0, 0],
        "arm": "left",
    }
    assert Tick({"n": 1}, 1, strict=True).to_wire() == {
        "ts": 1,
        "etype": "TICK",
        "data": {"n": 1},
        "strict": True,
    }
    assert ServerEvent(1, etype="Y").to_wire()["etype"] == "Y"


@pytest.mark.parametrize("event", [Pose(1), Tick(0, 1)])
def test_attributes_set_later_go_out(event: Any) -> None:
    event.arm = np.float32(0.5)
    event._note = "n"
    event.etype = "LATER"
    event.value = 7
    wire = event.to_wire()
    assert (wire["arm"], wire["_note"], wire["etype"], wire["value"]) == (0.5, "n", "LATER", 7)
    assert event._serialize()["arm"] == 0.5
    assert "arm" not in Pose(1).to_wire()


def test_the_wire_map_is_a_snapshot() -> None:
    pose = Pose(1)
    pose.to_wire()["etype"] = "changed"
    assert pose.etype == "POSE"
    assert "etype" not in vars(pose)


HOSTILE = [
    "self", "cls", "to_wire", "_serialize", "_map", "_take", "_hidden", "_reserved", "image",
    "_deserialize", "__class__", "__dict__", "__eq__", "__deepcopy__", "__reduce__",
    "__init_subclass__", "__weakref__", "_wire_data", "extra", "raw", "etype_", "_side",
    "dropped_before", "__nothing__",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("make", [Pose, Noop, Set, GrabRender])
def test_a_key_may_have_any_name(name: str, make: Any) -> None:
    args = (None,) if make is Set else ()
    event = make(*args, **{name: "x"})
    wire = event.to_wire()
    assert (wire["data"] if make is GrabRender else wire)[name] == "x"
    assert decode(encode(wire))["etype"] == make.etype
    assert type(event) is make
    assert isinstance(event, Event)
    assert event == make.etype
    assert event._serialize()["etype"] == make.etype
    for twin in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert twin.to_wire() == wire
    if not hasattr(make, name) and make is not GrabRender and name[:2] != "__":
        assert getattr(event, name) == "x"


def test_a_method_of_a_subclass_is_not_hidden_either() -> None:
    class Arm(ClientEvent):
        etype = "ARM"
        side = "left"

        def reach(self) -> str:
            return "out"

        @property
        def length(self) -> int:
            return 3

    arm = Arm(reach="x", length=4, side="right")
    assert (arm.reach(), arm.length, arm.side) == ("out", 3, "right")
    wire = arm.to_wire()
    assert (wire["reach"], wire["length"], wire["side"]) == ("x", 4, "right")


def test_an_event_without_an_etype_does_not_go_out() -> None:
    event = ClientEvent()
    with pytest.raises(EncodeError, match=r"ClientEvent is not complete: .*etype"):
        event.to_wire()
    assert repr(event) == "client<>(None)"
    assert event != ""
    assert hash(event) == hash(None)


class Shaped(ClientEvent):
    etype = "SHAPED"

    def _serialize(self) -> dict[str, Any]:
        return {**super()._serialize(), "shape": 1}


def test_a_subclass_may_shape_its_map() -> None:
    class Mixin:
        def _serialize(self) -> dict[str, Any]:
            return {"etype": "MIXED", "ts": 7}

    class Mixed(Mixin, ServerEvent):  # type: ignore[misc]  # the mixin knows nothing of events
        etype = "MIXED"

    class Both(Shaped):
        def to_wire(self) -> dict[str, Any]:
            return {"own": True}

    class Broken(ClientEvent):
        etype = "BROKEN"

        def _serialize(self) -> dict[str, Any]:
            raise LookupError("no")

    assert Shaped(1.5, value=2).to_wire() == {"ts": 1500, "etype": "SHAPED", "value": 2, "shape": 1}
    assert Mixed(None).to_wire() == {"etype": "MIXED", "ts": 7}
    assert Both().to_wire() == {"own": True}
    with pytest.raises(EncodeError, match=r"Broken\._serialize failed with LookupError"):
        Broken().to_wire()


def test_elements_in_an_event() -> None:
    box = Element(tag="Box", key="b", at=np.array([1, 2]))
    flat = {"tag": "Box", "key": "b", "at": [1, 2]}
    for value, want in (
        (box, flat), ([box], [flat]), ({"deep": (box,)}, {"deep": [flat]})
    ):  # fmt: skip
        assert Pose(value=value)._serialize()["value"] == want
        assert decode(encode(Pose(value=value).to_wire()))["value"] == want
        assert decode(encode(Tick(value).to_wire()))["data"] == want
    with pytest.raises(EncodeError, match=r"data\.nodes\[1\]\.at"):
        encode(Add(box, Element(tag="Box", at={1})).to_wire())


# -- the events of the protocol ------------------------------------------------------------------


def test_operations_on_the_scene() -> None:
    node = {"key": "a"}
    assert Update(node, node).to_wire()["data"] == {"nodes": (node, node)}
    assert Update(node).to_wire()["strict"] is False
    assert Update(node, strict=True).to_wire()["strict"] is True
    assert Add(node, to="p").to_wire()["data"] == {"nodes": (node,), "to": "p"}
    upsert = Upsert(node, strict=True)
    assert upsert.data["strict"] is True
    assert upsert.to_wire()["data"] == {"nodes": (node,), "to": None}
    assert upsert._serialize()["data"] == {"nodes": [node], "to": None}
    assert "strict" not in upsert.to_wire()
    assert Remove("a", "b").data == {"keys": ("a", "b")}
    assert Remove(["a", "b"], "c").data == {"keys": ("a", "b", "c")}
    assert Remove("a", ts=5).to_wire() == {"ts": 5, "etype": "REMOVE", "data": {"keys": ("a",)}}
    assert Set(Scene(key="s")).data.key == "s"
    assert HapticActuatorPulse(right={"strength": 1.0, "duration": 5}).data["left"] is None


def test_frame_and_singletons() -> None:
    frame = Frame(Update({"key": "a"}), 30.0, note=1)
    assert frame.frame_rate == 30.0
    assert frame.note == 1
    assert frame.data == "UPDATE"
    assert Frame(NOOP).frame_rate == 60.0
    assert frame._serialize()["data"]["data"] == {"nodes": [{"key": "a"}]}
    assert [INIT.etype, NULL.etype, NOOP.etype, END.etype] == ["Init", "NULL", "NOOP", "TERMINATE"]
    assert isinstance(INIT, InitEvent)
    assert isinstance(NULL, NullEvent)


def test_questions() -> None:
    one, other = GrabRender(quality=0.5), GrabRender(key="cam")
    assert one.uuid != other.uuid
    assert one.to_wire() == {
        "etype": "GRAB_RENDER",
        "ts": int(one.ts * 1000),
        "uuid": one.uuid,
        "rtype": f"GRAB_RENDER_RESPONSE@{one.uuid}",
        "key": "DEFAULT",
        "data": {"quality": 0.5},
    }
    assert other.key == "cam"
    assert MjRender(uuid="x").data == {"uuid": "x"}  # all keywords are the question's
    base = ServerRPC({}, uuid="id", extra=1)
    assert base.to_wire() == {"etype": "RPC", "ts": int(base.ts * 1000), "uuid": "id",
                              "data": {}, "extra": 1}  # fmt: skip


def test_the_public_names() -> None:
    assert sorted(catalogue.__all__) == sorted(set(catalogue.__all__))
    for name in catalogue.__all__:
        assert hasattr(catalogue, name), name


# -- comparing and showing -----------------------------------------------------------------------


def test_equality() -> None:
    pose = Pose()
    same: Any = Pose(pose.ts)
    assert pose == "POSE"
    assert pose != "OTHER"
    assert pose == pose
    assert pose != same
    assert pose != 5
    assert hash(pose) == hash("POSE")
    assert {"POSE": 1}[pose] == 1  # type: ignore[index]  # events are looked up by their name


@pytest.mark.parametrize("event", [ClientEvent(etype="CLICK"), arrived(etype="ON_CLICK")])
def test_click_has_two_names(event: Event) -> None:
    assert event == "CLICK"
    assert event == "ON_CLICK"
    assert event != "CLICKED"
    assert canonical("CLICK") == canonical("ON_CLICK") == "ON_CLICK"
    assert canonical("SET") == "SET"


def test_repr() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError

    assert repr(Pose(value="v")) == "client<POSE>(v)"
    assert repr(Tick([1])) == "server<TICK>([1])"
    assert repr(arrived(value=2, data=1)) == "server<X>(1)"
    assert repr(arrived(received_client_event, value=2)) == "client<X>(2)"
    assert repr(Pose(value=Mute())) == "client<POSE>(<Mute>)"
    assert repr(Event()) == "event<>(None)"


def test_deserialize() -> None:
    event = Pose._deserialize(etype="Y", ts=5, value=1, cls="c", key="k")
    assert type(event) is ClientEvent
    assert event.to_wire() == {"etype": "Y", "ts": 5, "value": 1, "cls": "c", "key": "k"}


def test_pillow_and_numpy_are_not_imported() -> None:
    import subprocess

    code = (
        "import sys, vuer_trio.events, vuer_trio.schemas, vuer_trio._client.info;"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_event_that_runs_javascript_in_the_page_is_not_offered():
    public = [vars(catalogue).get(name) for name in catalogue.__all__]
    assert "TIMEOUT" not in [getattr(each, "etype", None) for each in public]
