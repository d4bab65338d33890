"""The scene: what the page's store did, what it must bear, and a naive model of the same."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import DATA
from vuer_trio._scene_tree import Node, Tree
from vuer_trio.events import (
    Add,
    ClientEvent,
    Noop,
    Remove,
    Set,
    Update,
    Upsert,
    received_server_event,
)
from vuer_trio.scene import Scene
from vuer_trio.schemas import BlockElement, DefaultScene, Element
from vuer_trio.schemas import Scene as SceneElement

RECORDED = json.loads((DATA / "scene.json").read_text("utf-8"))
MORE = json.loads((DATA / "scene_more.json").read_text("utf-8"))["cases"]
BASE = {"etype": "SET", "data": RECORDED["base_scene"]}
CASES = [
    *((case["name"], [BASE, *case["ops"]], case["browser"]) for case in RECORDED["cases"]),
    *((case["name"], case["ops"], case["browser"]) for case in MORE),
]
EMPTY = {
    "tag": "Scene",
    "up": [0, 1, 0],
    "children": [],
    "rawChildren": [],
    "bgChildren": [],
    "htmlChildren": [],
}


def node(key: Any, *children: Any, tag: str = "Box", **props: Any) -> dict[str, Any]:
    made = {"tag": tag, "key": key, **props}
    return {**made, "children": list(children)} if children else made


def op(etype: str, data: Any) -> dict[str, Any]:
    return {"etype": etype, "data": data}


def upsert(*nodes: Any, **to: Any) -> dict[str, Any]:
    return op("UPSERT", {"nodes": list(nodes), **to})


def scene_of(*nodes: Any, **slots: Any) -> Scene:
    scene = Scene()
    scene.apply(op("SET", {"tag": "Scene", "children": list(nodes), **slots}))
    return scene


def assert_index_is_right(scene: Scene) -> None:
    tree = scene._tree
    known, groups = {}, set()
    for each in tree.walk():
        if each.identity is not None:
            known.setdefault(each.identity, set()).add(each)
        if each.is_group:
            groups.add(each)
        assert any(item is each for item in each.parent.items(each.slot))
    assert tree._known == known
    assert tree._groups == groups


# ---- what the page did


@pytest.mark.parametrize(("ops", "browser"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_page_did_the_same(ops, browser):
    scene = Scene()
    for each in ops:
        before = scene.to_set()
        assert scene.apply(each) == (scene.to_set() != before)
    assert scene.to_dict() == browser
    assert_index_is_right(scene)


def test_every_case_is_there():
    assert len(CASES) == 31 + 26


def test_a_new_scene_is_empty_and_clear_makes_it_so_again():
    scene = Scene()
    assert scene.to_dict() == EMPTY
    scene.apply(upsert(node("a")))
    scene.clear()
    assert scene.to_dict() == EMPTY
    assert list(scene) == []
    assert "a" not in scene


@pytest.mark.parametrize("etype", ["ADD", "UPSERT"])
def test_a_new_node_that_freezes_the_page_does_nothing(etype):
    scene = scene_of(node("a"))
    before = scene.to_dict()
    assert not scene.apply(op(etype, {"nodes": [node("root")]}))
    assert scene.to_dict() == before
    assert scene.apply(op(etype, {"nodes": [node("root"), node("b")]}))
    assert [each["key"] for each in scene] == ["a", "b"]


def test_what_the_root_has_besides_its_slots_is_kept_for_other_pages_only():
    scene = Scene()
    scene.apply(Set(SceneElement(frameloop="always", key="k")))
    scene.apply(upsert({"shadows": False}))
    assert scene.to_dict() == EMPTY
    assert scene.to_set() == {**EMPTY, "frameloop": "always", "shadows": False}


# ---- what may be applied


def test_our_events_with_elements_received_ones_and_maps_are_all_the_same():
    events = [
        Set(DefaultScene(BlockElement(tag="group", key="g"), Element(tag="Box", key="b"))),
        Add(Element(tag="Sphere", key="s", position=(0, 1, 2)), to="g"),
        Upsert(Element(tag="Box", key="b", color="red"), Element(tag="Box", key="c")),
        Update({"key": "s", "data": bytearray(b"abc")}, strict=True),
        Remove("c", ["light-stage"]),
    ]
    ours, received, decoded, packed = Scene(), Scene(), Scene(), []
    for event in events:
        packed.append(msgpack.packb(event._serialize()))
        assert ours.apply(event)
        assert received.apply(received_server_event(packed[-1]))
        assert decoded.apply(msgpack.unpackb(packed[-1]))
    assert ours.to_dict() == received.to_dict() == decoded.to_dict()
    assert ours.get("s") == {"tag": "Sphere", "key": "s", "position": [0, 1, 2], "data": b"abc"}
    assert ours.get("light-stage") is None
    assert "grid" in ours


def test_numpy_arrays_become_lists():
    numpy = pytest.importorskip("numpy")
    scene = scene_of()
    scene.apply(Upsert(Element(tag="Box", key="b", position=numpy.array([1.5, 2, 3]))))
    assert scene.get("b")["position"] == [1.5, 2, 3]
    scene.apply(upsert({"key": "b", "matrix": numpy.eye(2)}))
    assert scene.get("b")["matrix"] == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    "event",
    [
        Noop(),
        ClientEvent(etype="SET", value="3"),
        {"etype": "SET", "value": {"tag": "Scene", "children": []}},
        {"etype": "set", "data": {"tag": "Scene", "children": []}},
        {"etype": ["SET"], "data": {}},
        {"data": {"nodes": []}},
        {},
        None,
        "SET",
        7,
    ],
    ids=repr,
)
def test_other_events_are_ignored(event):
    scene = scene_of(node("a"))
    before = scene.to_set()
    assert scene.apply(event) is False
    assert scene.to_set() == before


def test_apply_says_whether_anything_changed():
    scene = Scene()
    assert scene.apply(upsert(node("a", x=[1, {"y": 2}])))
    assert not scene.apply(upsert(node("a", x=[1, {"y": 2}])))
    assert scene.apply(upsert(node("a", x=[1, {"y": True}])))
    assert scene.apply(upsert(node("a", x=[1, {"z": True}])))
    assert scene.apply(upsert(node("a", x=[1, {"z": True}, 3])))
    assert scene.apply(upsert(node("a", node("b", node("c")))))
    assert not scene.apply(upsert(node("a", node("b", node("c")))))
    assert scene.apply(upsert(node("a", node("b", node("c", x=1)))))
    assert not scene.apply(op("UPDATE", {"nodes": [node("zzz")]}))
    assert not scene.apply(op("REMOVE", {"keys": ["zzz"]}))
    assert not scene.apply(op("SET", scene.to_dict()))
    assert not scene.apply(op("SET", {}))


def test_what_an_element_raises_is_raised_and_changes_nothing():
    class Broken(Element):
        def _serialize(self):
            raise ZeroDivisionError

    scene = scene_of(node("a"))
    before = scene.to_dict()
    with pytest.raises(ZeroDivisionError):
        scene.apply(Upsert(Element(key="a", x=1), Broken(key="b")))
    assert scene.to_dict() == before


# ---- what it must bear


def deep(levels: int, key: str = "deep") -> dict[str, Any]:
    made = node(f"{key}{levels}")
    for n in reversed(range(levels)):
        made = node(f"{key}{n}", made)
    return made


def cyclic() -> dict[str, Any]:
    made = node("cyclic")
    made["children"] = [made]
    return made


def holds_itself() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


MALFORMED = [
    *(
        op(etype, data)
        for etype in ("SET", "ADD", "UPDATE", "UPSERT", "REMOVE")
        for data in (None, 1, "a", b"a", [], ["a"], [["tag", "Box"]], msgpack.ExtType(5, b"ab"))
    ),
    *(
        op(etype, {"nodes": nodes, "keys": nodes})
        for etype in ("ADD", "UPDATE", "UPSERT", "REMOVE")
        for nodes in (
            None,
            1,
            "a",
            {"a": 1},
            [None],
            [1],
            ["text"],
            [[node("a")]],
            [["a"]],
            [{"a": 1, "key": ["a"]}],
            [{"a": 1, "key": {}}],
            [{"a": 1, "key": b"a"}],
            [{"a": 1, "key": float("nan")}],
            [cyclic()],
            [{"key": "a", "x": holds_itself()}],
            [deep(20_000)],
        )
    ),
    op("SET", cyclic()),
    op("SET", {"tag": "Scene", "children": holds_itself()}),
    upsert(node("n"), to=["a"]),
    upsert(node("n"), to={}),
    upsert(node("n"), to="zzz"),
    op("ADD", {"nodes": [node("n")], "to": ["a"]}),
    upsert(node("n"), to="odd"),
]


@pytest.mark.parametrize("event", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_malformed_does_nothing(event):
    scene = scene_of(node("a"), node("odd", children="text"), bgChildren=[node("b")])
    before = scene.to_set()
    assert scene.apply(event) is False
    assert scene.to_set() == before
    assert_index_is_right(scene)


@pytest.mark.parametrize("etype", ["ADD", "UPDATE", "UPSERT"])
def test_the_others_are_applied(etype):
    scene = scene_of(node("a"))
    assert scene.apply(op(etype, {"nodes": [None, cyclic(), node(["x"]), node("a", x=1)]}))
    assert scene.to_dict()["children"][-1] == node("a", x=1)


def test_elements_that_hold_each_other_do_nothing():
    group = BlockElement(tag="group", key="g")
    group.children = [group]
    scene = scene_of(node("a"))
    assert scene.apply(Upsert(group)) is False
    assert [each["key"] for each in scene] == ["a"]


def test_a_scene_may_be_deeper_than_the_interpreter_goes():
    levels = 1000
    scene = scene_of(deep(levels))
    assert scene.apply(upsert(node("new"), to=f"deep{levels}"))
    assert scene.apply(upsert(node("new", x=1)))
    assert not scene.apply(upsert(node("new", x=1)))
    assert scene.apply(op("ADD", {"nodes": [node("deep0")]}))  # now it has to be searched for
    assert scene.apply(upsert(node(f"deep{levels}", x=1)))
    assert not scene.apply(op("SET", scene.to_set()))
    assert len(list(scene)) == levels + 3
    found = scene.get("deep0")
    for _ in range(levels + 1):
        (found,) = found["children"]
    assert found == node("new", x=1)
    assert scene.apply(op("REMOVE", {"keys": ["new", "deep1"]}))
    assert scene.to_dict()["children"] == [
        node("deep0", tag="Box") | {"children": []},
        node("deep0"),
    ]
    assert_index_is_right(scene)


def test_groups_that_hold_nothing_go_at_any_depth():
    groups = deep(1000)
    scene = scene_of(groups)
    for n in range(1001):
        scene.apply(op("UPDATE", {"nodes": [{"key": f"deep{n}", "tag": "group"}]}))
    assert scene.apply(op("REMOVE", {"keys": []}))
    assert scene.to_dict() == EMPTY


def test_odd_slots_and_values_are_kept_and_not_looked_into():
    odd = {"key": "odd", "children": {"key": "x"}, "bgChildren": "text", "rawChildren": 3}
    items = [None, "text", 7, ["x"], [node("x")], odd]
    scene = scene_of(*items)
    assert scene.to_dict()["children"] == items
    assert scene.get("x") is None
    assert [each["key"] for each in scene] == ["odd"]
    assert scene.apply(op("ADD", {"nodes": [node("x")], "to": "odd"}))  # the page makes it a list
    assert scene.get("odd")["children"] == [node("x")]
    assert scene.apply(upsert({"y": 1}, to="odd"))
    assert scene.get("odd")["children"] == [node("x"), {"y": 1}]


def test_a_text_is_the_first_without_a_key_and_takes_no_properties():
    scene = scene_of(node("p", "text", {"tag": "Box"}))
    before = scene.to_dict()
    assert not scene.apply(upsert({"x": 1}, to="p"))
    assert scene.to_dict() == before


def test_a_list_that_begins_with_text_keeps_its_groups():
    scene = scene_of(node("p", "text", node("g", tag="group")), node("g", tag="group"))
    scene.apply(op("REMOVE", {"keys": []}))
    assert scene.to_dict()["children"] == [node("p", "text", node("g", tag="group"))]


@pytest.mark.parametrize("key", [None, 1, ["a"], {}, b"a", ("absent",), float("nan")], ids=repr)
def test_any_key_may_be_asked_for(key):
    scene = scene_of(node("a"), {"tag": "Box"})
    assert scene.get(key) is None
    assert key not in scene


# ---- whose data it is


def test_neither_side_can_change_the_other():
    position, inner = [1, 2, 3], node("inner", args=[1])
    event = upsert(node("a", inner, position=position, data=bytearray(b"x")))
    scene = Scene()
    scene.apply(event)
    before = scene.to_dict()
    position.append(4)
    inner["args"].append(2)
    inner["color"] = "red"
    event["data"]["nodes"][0]["children"].append(node("more"))
    event["data"]["nodes"][0]["data"][:] = b"y"
    assert scene.to_dict() == before
    assert scene.get("a")["data"] == b"x"
    for taken in (scene.get("a"), scene.to_dict(), scene.to_set(), next(iter(scene))):
        taken["children"].append("x")
        taken["key"] = "other"
    scene.get("a")["position"].append(5)
    scene.to_dict()["up"].append(5)
    assert scene.to_dict() == before
    scene.apply(upsert(node("a", inner)))
    inner["children"] = [node("more")]
    assert "more" not in scene


def test_an_event_is_left_as_it_is():
    for _, ops, _ in CASES:
        scene, given_ops = Scene(), copy.deepcopy(ops)
        for each in given_ops:
            scene.apply(each)
        assert given_ops == ops


def test_iteration_is_over_the_scene_as_it_was():
    scene = scene_of(node("a", node("b"), node("c")), node("d"), bgChildren=[node("e")])
    seen = []
    for each in scene:
        seen.append(each["key"])
        scene.apply(op("REMOVE", {"keys": ["c", "d"]}))
    assert seen == ["a", "b", "c", "d", "e"]
    assert [each["key"] for each in scene] == ["a", "b", "e"]


def test_a_key_that_one_node_has_is_not_searched_for(monkeypatch):
    scene = scene_of(*(node(str(n)) for n in range(5000)), node("p", node("q", node("r"))))

    def searched(*args):
        raise AssertionError("the whole scene was walked through")

    monkeypatch.setattr(Tree, "walk", searched)
    monkeypatch.setattr("vuer_trio._scene_tree._items_under", searched)
    assert scene.apply(upsert(node("4999", x=1)))
    assert scene.apply(upsert(node("r", x=1), to="p"))
    assert scene.apply(upsert(node("new", x=1), to="p"))
    assert scene.apply(upsert(node("4999"), to="children")) is False
    assert scene.apply(op("UPDATE", {"nodes": [node("17", x=1)]}))
    assert scene.apply(op("REMOVE", {"keys": ["18", "none"]}))
    assert scene.get("r")["x"] == 1
    scene.apply(op("ADD", {"nodes": [node("17")]}))
    with pytest.raises(AssertionError, match="walked"):
        scene.get("17")


# ---- a naive model of the page's store

SLOTS = ("children", "rawChildren", "bgChildren", "htmlChildren")
NESTED = ("children", "bgChildren", "htmlChildren", "rawChildren")
MISSING = object()


def equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


class Model:
    def __init__(self) -> None:
        self.root = copy.deepcopy(EMPTY)

    def find(self, top, key, slots):
        if equal(top.get("key", MISSING), key) or top.get("key", MISSING) is key:
            return top
        for slot in slots:
            for child in top.get(slot) or []:
                found = self.find(child, key, NESTED)
                if found is not None:
                    return found
        return None

    def apply(self, event):
        getattr(self, "do_" + event["etype"].lower())(copy.deepcopy(event["data"]))

    def do_set(self, data):
        data.pop("key", None)
        self.root.update(data)

    def do_add(self, data):
        to = data.get("to")
        for each in data["nodes"]:
            if to in SLOTS and self.root[to] is not None:
                self.root[to].append(each)
                continue
            parent = self.find(self.root, to, SLOTS) if to else self.root
            if parent is not None:
                parent["children"] = [*(parent.get("children") or []), each]

    def do_update(self, data):
        for each in data["nodes"]:
            found = self.find(self.root, each.pop("key", MISSING), SLOTS)
            if found is not None:
                found.update(each)

    def do_upsert(self, data):
        to = data.get("to")
        for each in data["nodes"]:
            key, parent, slot, slots = each.get("key", MISSING), self.root, "children", SLOTS
            if to in SLOTS:
                slot, slots = to, (to,)
            elif to:
                parent, slots = self.find(self.root, to, SLOTS), ("children",)
                if parent is None:
                    continue
            found = self.find(parent, key, slots)
            if found is not None:
                found.update(each)
            elif parent.get(slot) is None:
                parent["children"] = [each]
            else:
                parent[slot].append(each)

    def do_remove(self, data):
        for key in data["keys"]:
            self.remove(self.root, key)
        for slot in ("children", "bgChildren"):
            self.root[slot] = self.pruned(self.root[slot])

    def remove(self, top, key):
        for slot in SLOTS:
            items = top.get(slot) or []
            for n, item in enumerate(items):
                if "key" in item and equal(item["key"], key):
                    del items[n]
                    return True
            if any(self.remove(item, key) for item in items):
                return True
        return False

    def pruned(self, items):
        kept = []
        for item in items or []:
            if "children" in item:
                item["children"] = self.pruned(item["children"])
            if not (item.get("tag", "").lower() == "group" and not item.get("children")):
                kept.append(item)
        return kept if items is not None else None


keys = st.sampled_from(["a", "b", "c", "d", 1, "1", None])
props = st.fixed_dictionaries(
    {},
    optional={
        "key": keys,
        "tag": st.sampled_from(["Box", "group", "Group"]),
        "x": st.sampled_from([0, 1.5, None, [1, 2], {"y": [1]}, "$delete"]),
    },
)


def with_slots(children):
    lists = st.none() | st.lists(children, max_size=3)
    slots = st.fixed_dictionaries(
        {}, optional={"children": st.lists(children, max_size=3), **dict.fromkeys(SLOTS[1:], lists)}
    )
    return st.builds(lambda own, below: {**own, **below}, props, slots)


nodes = st.recursive(props, with_slots, max_leaves=6)
places = st.sampled_from([None, "", "a", "b", "c", "zzz", *SLOTS])
to_data = st.fixed_dictionaries({"nodes": st.lists(nodes, max_size=2)}, optional={"to": places})
operations = st.one_of(
    st.builds(op, st.just("SET"), with_slots(nodes)),
    st.builds(op, st.sampled_from(["ADD", "UPSERT"]), to_data),
    st.builds(op, st.just("UPDATE"), st.fixed_dictionaries({"nodes": st.lists(nodes, max_size=2)})),
    st.builds(op, st.just("REMOVE"), st.fixed_dictionaries({"keys": st.lists(keys, max_size=2)})),
)


@given(st.lists(operations, max_size=12))
def test_it_does_what_a_naive_model_does(ops):
    scene, model = Scene(), Model()
    for each in ops:
        before = scene.to_set()
        changed = scene.apply(each)
        model.apply(each)
        assert scene.to_set() == model.root
        assert changed or scene.to_set() == before
    assert_index_is_right(scene)
    for key in ("a", "b", 1, "1", None):
        assert scene.get(key) == model.find(model.root, key, SLOTS)
    walked = list(scene)
    in_tree = list(scene._tree.walk())
    assert [each.get("key", MISSING) for each in walked] == [
        each.props.get("key", MISSING) for each in in_tree
    ]
    twin = Scene()
    twin.apply(op("SET", scene.to_set()))
    assert twin.to_set() == scene.to_set()


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "tag", "nodes", "keys", "to", *SLOTS]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(
        st.builds(op, st.sampled_from(["SET", "ADD", "UPDATE", "UPSERT", "REMOVE"]), anything)
        | st.builds(
            lambda etype, nodes, to: op(etype, {"nodes": nodes, "keys": nodes, "to": to}),
            st.sampled_from(["ADD", "UPDATE", "UPSERT", "REMOVE"]),
            st.lists(anything, max_size=3),
            anything,
        )
        | operations,
        max_size=8,
    )
)
def test_nothing_that_can_be_decoded_makes_it_raise(ops):
    scene = Scene()
    for each in ops:
        before = scene.to_set()
        if not scene.apply(each):
            assert repr(scene.to_set()) == repr(before)  # repr: NaN is not equal to itself
    assert_index_is_right(scene)
    twin = Scene()
    twin.apply(op("SET", scene.to_set()))
    assert repr(sorted(twin.to_set().items())) == repr(sorted(scene.to_set().items()))


def test_the_index_check_can_fail():
    scene = scene_of(node("a"))
    scene._tree._known["b"] = {Node({}, None, "")}
    with pytest.raises(AssertionError):
        assert_index_is_right(scene)
