"""The frames of the nodes of a scene: where they are, whatever is above them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vuer_trio.frame import to_mat
from vuer_trio.record.nodes import ScenePoses
from vuer_trio.record.poses import Kind, matrix_of


class Frames:
    """What a reader of the poses has: the last one of each frame."""

    def __init__(self):
        self.scene = ScenePoses()
        self.last = {}

    def apply(self, etype, *nodes, **data):
        new = self.scene.apply({"etype": etype, "data": {"nodes": list(nodes), **data}})
        self.last |= {pose.frame: pose for pose in new}
        return [pose.key for pose in new]

    def set(self, *children, **props):
        data = {"tag": "Scene", "children": list(children), **props}
        new = self.scene.apply({"etype": "SET", "data": data})
        self.last |= {pose.frame: pose for pose in new}
        return [pose.key for pose in new]

    def at(self, key):
        """The world matrix of a node's frame."""
        return self.matrix(f"scene/{key}")

    def matrix(self, frame):
        if frame == "vuer":
            return np.eye(4)
        pose = self.last[frame]
        return self.matrix(pose.parent) @ to_mat(pose.position, pose.quaternion)


def node(key, *children, **props):
    return {"tag": "Box", "key": key, **props, **({"children": [*children]} if children else {})}


@pytest.fixture
def frames():
    return Frames()


def test_a_node_is_told_in_the_frame_of_the_one_above_it(frames):
    tool = node("tool", position=[0, 1, 0], rotation=[0, 0, math.pi / 2])
    assert frames.set(node("arm", tool, position=[1, 0, 0])) == ["arm", "tool"]
    assert frames.last["scene/tool"].parent == "scene/arm"
    assert frames.last["scene/tool"].position == pytest.approx((0, 1, 0))
    assert frames.at("tool")[:3, 3] == pytest.approx([1, 1, 0])
    # The tool moves with it, and is not told again.
    assert frames.apply("UPDATE", node("arm", position=[5, 0, 0])) == ["arm"]
    assert frames.at("tool")[:3, 3] == pytest.approx([5, 1, 0])
    # What an update leaves out stays.
    assert frames.apply("UPDATE", node("tool", position=[0, 2, 0])) == ["tool"]
    assert frames.last["scene/tool"].quaternion == pytest.approx((0, 0, 0.5**0.5, 0.5**0.5))
    assert frames.apply("UPDATE", node("tool", position=[0, 2, 0])) == []


def test_what_is_above_without_a_key_or_a_place_counts(frames):
    inner = node("tool", position=[0, 1, 0])
    bare = {"tag": "Group", "position": [1, 0, 0], "children": [inner]}
    frames.set(node("arm", {"tag": "Group", "children": [bare]}, position=[0, 0, 1]))
    assert frames.last["scene/tool"].parent == "scene/arm"
    assert frames.at("tool")[:3, 3] == pytest.approx([1, 1, 1])


def test_a_group_without_a_place_is_a_frame_for_what_is_in_it(frames):
    assert frames.set(node("arm", node("tool", position=[0, 1, 0])), node("light")) == [
        "arm",
        "tool",
    ]
    assert frames.apply("UPDATE", node("arm", position=[1, 0, 0])) == ["arm"]
    assert frames.at("tool")[:3, 3] == pytest.approx([1, 1, 0])


def test_scales_are_in_the_places_of_what_is_below(frames):
    hand = node("hand", position=[0, 0, 3])
    frames.set(node("arm", node("tool", hand, position=[0, 1, 0], scale=[1, 1, 2]), scale=2))
    assert frames.last["scene/arm"].kind is Kind.SCALED
    assert frames.at("tool")[:3, 3] == pytest.approx([0, 2, 0])
    assert frames.at("hand")[:3, 3] == pytest.approx([0, 2, 12])
    frames.apply("UPDATE", node("arm", scale=1))
    assert frames.at("hand")[:3, 3] == pytest.approx([0, 1, 6])


def test_a_mirror_is_said_and_what_is_below_is_where_it_is(frames):
    frames.set(node("arm", node("tool", position=[1, 1, 0]), scale=[-1, 1, 1]))
    assert frames.last["scene/arm"].kind is Kind.MIRRORED
    assert frames.at("tool")[:3, 3] == pytest.approx([-1, 1, 0])


def test_what_has_no_size_has_no_pose(frames):
    assert frames.set(node("arm", node("tool", position=[1, 1, 0]), scale=0)) == ["arm", "tool"]
    assert {pose.kind for pose in frames.last.values()} == {Kind.NONE}
    assert frames.apply("UPDATE", node("arm", scale=0)) == []
    frames.apply("UPDATE", node("arm", scale=1))
    assert frames.at("tool")[:3, 3] == pytest.approx([1, 1, 0])


def test_changes_of_the_tree(frames):
    frames.set(node("arm", position=[1, 0, 0]))
    assert frames.apply("ADD", node("tool", position=[0, 1, 0]), to="arm") == ["tool"]
    assert frames.apply("UPSERT", node("lamp", position=[2, 0, 0])) == ["lamp"]
    assert frames.at("tool")[:3, 3] == pytest.approx([1, 1, 0])
    frames.scene.apply({"etype": "REMOVE", "data": {"keys": ["tool"]}})
    assert frames.apply("ADD", node("tool", position=[0, 1, 0])) == ["tool"]  # elsewhere now
    assert frames.last["scene/tool"].parent == "vuer"
    assert frames.apply("ADD", to="nowhere") == []
    assert frames.apply("SAY", node("arm", position=[5, 5, 5])) == []


def test_slots_that_are_not_in_the_scene(frames):
    page = {"htmlChildren": [node("button", position=[1, 2, 3])]}
    behind = {"bgChildren": [node("light", position=[1, 2, 3])]}
    assert frames.set(**page, **behind, rawChildren=[node("camera", position=[0, 1, 0])]) == [
        "camera",
        "light",
    ]
    assert frames.apply("UPDATE", node("button", position=[5, 5, 5])) == []


def test_the_first_of_two_with_one_key_has_the_frame(frames):
    inner = node("a", position=[0, 1, 0])
    assert frames.set(node("a", inner, position=[1, 0, 0]), node(7, position=[0, 0, 1])) == [
        "a",
        "7",
    ]
    assert frames.at("a")[:3, 3] == pytest.approx([1, 0, 0])


def test_what_is_malformed_is_counted_and_leaves_the_others(frames):
    assert frames.set(node("a", position="there"), node("b", position=[1, 0, 0])) == ["b"]
    assert frames.scene.malformed == 1


@pytest.mark.parametrize(
    ("up", "is_up"), [([0, 0, 1], True), ([0, 1, 0], False), (None, False), ("z", False)]
)
def test_which_axis_points_up(frames, up, is_up):
    frames.set(up=up)
    assert frames.scene.z_is_up is is_up


parts = st.floats(-1, 1)
places = st.lists(st.floats(-10, 10), min_size=3, max_size=3)
turns = st.lists(parts, min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)
scales = st.lists(st.floats(-3, 3).filter(lambda x: abs(x) > 0.1), min_size=3, max_size=3)


@given(st.lists(st.tuples(places, turns, scales), min_size=1, max_size=5))
def test_a_chain_of_any_poses_ends_where_three_js_has_it(chain):
    """Positions are those of the world matrix, even under scales, mirrors and shears."""
    frames, below, world = Frames(), (), np.eye(4)
    wanted = {}
    for n, (place, turn, scale) in enumerate(chain):
        props = {"position": place, "quaternion": turn, "scale": scale}
        world = world @ matrix_of(props)
        wanted[n] = world
    for n, (place, turn, scale) in reversed(list(enumerate(chain))):
        below = (node(n, *below, position=place, quaternion=turn, scale=scale),)
    frames.set(*below)
    for n, matrix in wanted.items():
        size = np.abs(matrix[:3, 3]).max() + 1
        assert np.abs(frames.at(n)[:3, 3] - matrix[:3, 3]).max() < 1e-6 * size
