"""Events of a headset as numpy arrays."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vuer_trio import ProtocolError, xr
from vuer_trio.events import ClientEvent, ServerEvent, received_client_event
from vuer_trio.testing import camera_move, controller_move, hand_move

finite = st.floats(-1e3, 1e3)
#: JavaScript's `undefined`, as msgpackr writes it
UNDEFINED = b"\xd4\x00\x00"
IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def flat_numbers(poses: int):
    """Of so many poses: no two are the same, and few have to be chosen."""
    few = st.lists(finite | st.integers(-1000, 1000), min_size=1, max_size=20)
    return few.map(lambda some: [some[n % len(some)] + 3000 * n for n in range(1, 16 * poses + 1)])


def over_the_wire(event: ClientEvent) -> ClientEvent:
    return received_client_event(msgpack.packb(event.to_wire()))


def event(etype: str, **value) -> ClientEvent:
    return ClientEvent(etype=etype, value=value)


# ---- what is read


@given(flat_numbers(25), flat_numbers(25))
def test_hands_come_back_as_they_were_sent(left, right):
    move = xr.hands(over_the_wire(event("HAND_MOVE", left=left, right=right)))
    for hand, sent in ((move.left, left), (move.right, right)):
        assert hand.matrices.shape == (25, 4, 4)
        assert hand.matrices.transpose(0, 2, 1).ravel().tolist() == sent
        for n, name in enumerate(xr.HAND_JOINTS):
            assert hand.joint(name).ravel("F").tolist() == sent[16 * n : 16 * n + 16]
        assert hand.positions.tolist() == [sent[16 * n + 12 : 16 * n + 15] for n in range(25)]


@given(flat_numbers(33))
def test_a_body_comes_back_as_it_was_sent(sent):
    move = xr.body(over_the_wire(event("BODY_MOVE", body=sent)))
    assert move.body.matrices.transpose(0, 2, 1).ravel().tolist() == sent
    assert move.body.joint("right-foot-ball").ravel("F").tolist() == sent[-16:]


@given(flat_numbers(1))
def test_controllers_and_heads_come_back_as_they_were_sent(sent):
    one = over_the_wire(event("CONTROLLER_MOVE", left=sent))
    assert xr.controllers(one).left.matrix.ravel("F").tolist() == sent
    assert xr.controllers(one).left.position.tolist() == sent[12:15]
    for value in ({"matrix": sent}, {"camera": {"matrix": sent}}):
        for etype in ("HEAD_MOVE", "CAMERA_MOVE"):
            move = xr.head(over_the_wire(event(etype, **value)))
            assert move.matrix.ravel("F").tolist() == sent
            assert move.position.tolist() == sent[12:15]


@given(flat_numbers(25))
def test_the_bytes_of_a_float32array_are_not_copied(numbers):
    data = np.array(numbers, "<f4").tobytes()
    hand = xr.hands(over_the_wire(event("HAND_MOVE", left=data))).left
    assert hand.matrices.dtype == np.float32
    assert hand.matrices.transpose(0, 2, 1).tobytes() == data
    direct = xr.hands(event("HAND_MOVE", left=data)).left
    assert np.shares_memory(direct.matrices, np.frombuffer(data, "<f4"))


def test_arrays_are_read_only_and_their_parts_are_views():
    given = np.array(IDENTITY * 25, float)
    hand = xr.hands(event("HAND_MOVE", left=given)).left
    parts = [hand.matrices, hand.positions, hand.rotations, hand.wrist, hand.joint("thumb-tip")]
    for part in parts:
        assert np.shares_memory(part, given)
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 1
    given[12] = 5  # whose array it was may go on with it
    assert hand.wrist[0, 3] == 5


def test_the_joints_are_those_of_webxr():
    assert len(xr.HAND_JOINTS) == len(set(xr.HAND_JOINTS)) == 25
    assert xr.HAND_JOINTS[:6] == (
        *("wrist", "thumb-metacarpal", "thumb-phalanx-proximal", "thumb-phalanx-distal"),
        *("thumb-tip", "index-finger-metacarpal"),
    )
    assert [xr.HAND_JOINTS.index(f"{f}-tip") for f in ("thumb", "index-finger")] == [4, 9]
    assert xr.HAND_JOINTS[24] == "pinky-finger-tip"
    assert len(xr.BODY_JOINTS) == len(set(xr.BODY_JOINTS)) == 33
    assert xr.BODY_JOINTS[6] == "head"
    assert xr.BODY_JOINTS[17:20] == ("left-hand-palm", "right-hand-palm", "left-upper-leg")


def test_the_states_of_hands():
    state = {"pinch": True, "pinchValue": 0.005, "squeeze": False, "tapValue": 0}
    move = xr.hands(over_the_wire(hand_move(rightState=state)))
    assert (move.right.pinch, move.right.pinch_value) == (True, 0.005)
    assert (move.right.squeeze, move.right.squeeze_value) == (False, 0.0)
    assert isinstance(move.right.tap_value, float)
    assert (move.left.side, move.right.side, move.key) == ("left", "right", "hands")


def test_the_states_of_controllers():
    state = {"trigger": True, "triggerValue": 1, "touchpad": "touched", "thumbstickValue": [0, -1]}
    move = xr.controllers(over_the_wire(controller_move(left=None, rightState=state)))
    assert move.left is None
    right = move.right
    assert (right.trigger, right.trigger_value, right.touchpad) == (True, 1.0, "touched")
    assert right.thumbstick_value == (0.0, -1.0)
    assert (right.squeeze, right.a_button, right.b_button, right.thumbstick) == (False,) * 4
    assert right.rotation.tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    "name", ["browser_scc_drag_camera_move_1", "browser_oc_drag_camera_move_2"]
)
def test_what_a_browser_has_sent(name):
    vectors = json.loads((Path(__file__).parents[1] / "data" / "vuer.json").read_text())
    [payload] = [bytes.fromhex(vector["hex"]) for vector in vectors if vector["name"] == name]
    received = received_client_event(payload)
    move = xr.head(received)
    assert move.position.tolist() == received.value["camera"]["position"]
    assert move.key == "defaultCamera"
    np.testing.assert_allclose(move.rotation @ move.rotation.T, np.eye(3), atol=1e-12)


# ---- what is not there


@pytest.mark.parametrize("nothing", [None, [], (), b"", [0] * 400, np.zeros(0), np.zeros(400)])
def test_a_hand_that_is_not_there_is_none(nothing):
    move = xr.hands(event("HAND_MOVE", left=nothing, right=IDENTITY * 25, leftState={}))
    assert move.left is None
    assert move.right.pinch is None


def test_undefined_of_javascript_is_none():
    value = {"left": "L", "leftState": {}, "right": IDENTITY * 25, "rightState": {}}
    payload = msgpack.packb({"etype": "HAND_MOVE", "ts": 1, "key": "hands", "value": value})
    move = xr.hands(received_client_event(payload.replace(b"\xa1L", UNDEFINED)))
    assert move.left is None
    assert move.right is not None


def test_nothing_at_all():
    assert repr(xr.hands(event("HAND_MOVE"))) == "<HandMove: none>"
    assert repr(xr.controllers(event("CONTROLLER_MOVE"))) == "<ControllerMove: none>"
    assert repr(xr.body(event("BODY_MOVE"))) == "<BodyMove: none>"
    move = xr.head(event("HEAD_MOVE", matrix=[0] * 16))  # before the first pose
    assert (move.matrix, move.position, move.rotation) == (None, None, None)


def test_hands_that_a_body_was_not_asked_for_are_none():
    move = xr.body(
        event("BODY_MOVE", body=IDENTITY * 33, leftHand=[0] * 400, rightHand=IDENTITY * 25)
    )
    assert repr(move) == "<BodyMove: body, right hand>"
    assert move.left_hand is None
    assert move.right_hand.joint("index-finger-tip").tolist() == np.eye(4).tolist()


def test_joints_that_were_never_tracked_are_not_valid():
    numbers = IDENTITY * 30 + [0] * 16 + [float("nan"), *IDENTITY[1:]] + IDENTITY
    assert xr.body(event("BODY_MOVE", body=numbers)).body.valid.tolist() == [
        *[True] * 30, False, False, True
    ]  # fmt: skip


# ---- what is malformed


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ("x", r"value\.left must be a list of numbers, got 'x'"),
        (7, r"value\.left must be a list of numbers, got 7"),
        ([1.0] * 384, r"value\.left must be 400 numbers, 16 for each of 25 poses, got 384"),
        ([1.0] * 800, "400 numbers.* got 800"),
        (b"1234" * 16, "400 numbers.* got 16"),
        (b"12345", r"value\.left must be whole 32-bit floats, got 5 bytes"),
        ([1.0] * 399 + ["1"], r"value\.left\[399\] must be a number, got '1'"),
        (["1.0"] * 400, r"value\.left\[0\] must be a number, got '1\.0'"),
        ([None] * 400, r"value\.left\[0\] must be a number, got None"),
        ([1, [2]] * 200, r"value\.left\[1\] must be a number, got \[2\]"),
        ([[1] * 16] * 25, r"value\.left\[0\] must be a number"),
        ([True] * 400, r"value\.left\[0\] must be a number, got True"),
        ([10**400] * 400, r"value\.left must be numbers that a float can hold"),
        (np.eye(4), "value.left must be numbers|value.left.0. must be a number"),
    ],
)
def test_what_is_no_hand(left, message):
    with pytest.raises(ProtocolError, match=message):
        xr.hands(event("HAND_MOVE", left=left))


@pytest.mark.parametrize(
    ("function", "etype", "value", "message"),
    [
        (xr.hands, "HAND_MOVE", None, "the value of a HAND_MOVE must be a map, got None"),
        (xr.hands, "HAND_MOVE", [1], "the value of a HAND_MOVE must be a map"),
        (
            xr.hands,
            "HAND_MOVE",
            {"left": IDENTITY * 25, "leftState": {"pinch": 1}},
            r"value\.leftState\.pinch must be a bool, got 1",
        ),
        (
            xr.hands,
            "HAND_MOVE",
            {"left": IDENTITY * 25, "leftState": {"tapValue": "x"}},
            r"value\.leftState\.tapValue must be a number, got 'x'",
        ),
        (xr.hands, "HAND_MOVE", {"leftState": 3}, r"value\.leftState must be a map, got 3"),
        (
            xr.controllers,
            "CONTROLLER_MOVE",
            {"right": IDENTITY, "rightState": {"thumbstickValue": [1]}},
            r"value\.rightState\.thumbstickValue must be two numbers, got \[1\]",
        ),
        (
            xr.controllers,
            "CONTROLLER_MOVE",
            {"right": IDENTITY, "rightState": {"touchpad": True}},
            r"value\.rightState\.touchpad must be 'pressed', 'touched' or False, got True",
        ),
        (
            xr.controllers,
            "CONTROLLER_MOVE",
            {"right": [1, 2]},
            r"value\.right must be 16 numbers, 16 for each of 1 pose, got 2",
        ),
        (xr.head, "HEAD_MOVE", {"matrix": {}}, r"value\.matrix must be a list of numbers"),
        (xr.head, "CAMERA_MOVE", {"camera": []}, r"value\.camera must be a map"),
        (
            xr.head,
            "CAMERA_MOVE",
            {"camera": {"matrix": [1]}},
            r"value\.camera\.matrix must be 16 numbers",
        ),
        (xr.body, "BODY_MOVE", {"body": [1] * 400}, r"value\.body must be 528 numbers.* got 400"),
    ],
)
def test_what_is_malformed(function, etype, value, message):
    with pytest.raises(ProtocolError, match=message):
        function(ClientEvent(etype=etype, value=value))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["pinch", "touchpad", "matrix", "tapValue"]), inner)
    ),
    max_leaves=8,
)
NAMES = ["left", "right", "leftState", "rightState", "camera", "matrix", "body", "leftHand"]


@given(st.dictionaries(st.sampled_from(NAMES), anything | st.just(IDENTITY * 25)) | anything)
def test_no_value_raises_anything_but_protocol_errors(value):
    for function, etype in (
        (xr.hands, "HAND_MOVE"),
        (xr.controllers, "CONTROLLER_MOVE"),
        (xr.head, "HEAD_MOVE"),
        (xr.body, "BODY_MOVE"),
    ):
        with suppress(ProtocolError):
            function(ClientEvent(etype=etype, value=value))


def test_the_wrong_event():
    with pytest.raises(
        ValueError, match=r"xr\.hands\(\) must be given a HAND_MOVE, got CAMERA_MOVE"
    ):
        xr.hands(camera_move())
    with pytest.raises(ValueError, match="must be given a HEAD_MOVE or CAMERA_MOVE, got HAND_MOVE"):
        xr.head(hand_move())
    with pytest.raises(TypeError, match=r"event must be an event, got \{\}"):
        xr.hands({})  # type: ignore[arg-type]  # that is the test
    with pytest.raises(ProtocolError, match="must be a map, got 5"):
        xr.body(ServerEvent(5, etype="BODY_MOVE"))


def test_a_joint_that_no_hand_has():
    hand = xr.hands(hand_move()).left
    for name in ("little-finger-tip", 4, []):
        with pytest.raises(ValueError, match="one of the 25 joints in `names`"):
            hand.joint(name)  # type: ignore[arg-type]  # that is the test


# ---- axes


def test_a_robot_whose_z_axis_points_up():
    """Ahead of the person is -z, and y of the robot; up is y, and its z."""
    move = xr.hands(hand_move(right=(0.2, 1.2, -0.4)))
    poses = xr.change_axes(move.right.matrices, xr.Y2Z)
    assert poses[0, :3, 3].tolist() == [0.2, 0.4, 1.2]
    assert poses[0, :3, :3].tolist() == np.eye(3).tolist()
    assert xr.change_axes(poses, xr.Z2Y).tolist() == move.right.matrices.tolist()


@pytest.mark.parametrize("shape", [(4,), (3, 3), (25, 16), ()])
def test_what_has_no_axes(shape):
    with pytest.raises(ValueError, match=r"poses must be matrices of shape \(4, 4\)"):
        xr.change_axes(np.zeros(shape), np.eye(4))
    with pytest.raises(ValueError, match=r"axes must be matrices of shape \(4, 4\)"):
        xr.change_axes(np.eye(4), np.zeros(shape))


# ---- numpy


def test_numpy_is_named_if_it_is_missing():
    program = """
        import sys
        sys.modules["numpy"] = None
        import vuer_trio.testing
        try:
            from vuer_trio import xr
        except ImportError as error:
            assert "xr need numpy: pip install 'vuer-trio[numpy]'" in str(error), error
        else:
            raise AssertionError("no error")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
