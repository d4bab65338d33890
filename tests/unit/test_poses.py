"""Matrices as positions and quaternions, and what of them these do not say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vuer_trio import ProtocolError
from vuer_trio.frame import to_mat
from vuer_trio.record.poses import Kind, matrix_of, poses_of

numbers = st.floats(-1e6, 1e6, allow_nan=False)
positions = st.tuples(numbers, numbers, numbers)
parts = st.floats(-1, 1)
quaternions = st.tuples(parts, parts, parts, parts).filter(lambda q: np.linalg.norm(q) > 0.1)
lengths = st.floats(1e-3, 1e3).filter(lambda x: abs(x - 1) > 1e-3)


def same_turn(one, other, tolerance=1e-9):
    """Whether two quaternions are the same rotation."""
    one, other = np.asarray(one), np.asarray(other) / np.linalg.norm(other)
    return min(abs(one - other).max(), abs(one + other).max()) < tolerance


def pose(matrix):
    poses = poses_of(np.asarray(matrix)[None])
    return poses.positions[0], poses.quaternions[0], poses.kinds[0]


@given(positions, quaternions)
def test_there_and_back(position, quaternion):
    matrix = to_mat(position, quaternion)
    there, turn, kind = pose(matrix)
    assert kind is Kind.RIGID
    assert tuple(there) == position
    assert same_turn(turn, quaternion)
    assert turn[3] >= 0
    assert np.linalg.norm(turn) == pytest.approx(1)
    assert to_mat(there, turn) == pytest.approx(matrix, abs=1e-9)


@given(positions, quaternions)
def test_single_precision_is_as_good_as_it_can_be(position, quaternion):
    matrix = to_mat(position, quaternion).astype(np.float32)
    there, turn, kind = pose(matrix)
    assert kind is Kind.RIGID
    assert there == pytest.approx(np.float32(position))
    assert same_turn(turn, quaternion, 1e-6)


@given(quaternions, st.tuples(lengths, lengths, lengths))
def test_a_scale_is_left_out_and_said(quaternion, scale):
    there, turn, kind = pose(to_mat((1, 2, 3), quaternion) @ np.diag([*scale, 1]))
    assert kind is Kind.SCALED
    assert tuple(there) == (1, 2, 3)
    assert same_turn(turn, quaternion, 1e-6)


@given(quaternions, st.integers(0, 6))
def test_a_mirror_is_said(quaternion, signs):
    """Of one or three axes; of two axes it is a half turn."""
    mirror = [-1 if signs >> axis & 1 else 1 for axis in range(3)]
    matrix = to_mat((1, 2, 3), quaternion) @ np.diag([*mirror, 1])
    there, turn, kind = pose(matrix)
    assert tuple(there) == (1, 2, 3)
    if math.prod(mirror) > 0:
        assert kind is Kind.RIGID
        assert to_mat(there, turn) == pytest.approx(matrix, abs=1e-6)
    else:
        assert kind is Kind.MIRRORED
        turned = matrix @ np.diag([-1, 1, 1, 1])
        assert to_mat(there, turn) == pytest.approx(turned, abs=1e-6)


@given(quaternions, st.floats(0.01, 0.5))
def test_a_shear_is_said_and_has_the_nearest_rotation(quaternion, lean):
    shear = np.eye(4)
    shear[0, 1] = lean
    there, turn, kind = pose(to_mat((1, 2, 3), quaternion) @ shear)
    assert kind is Kind.SHEARED
    assert tuple(there) == (1, 2, 3)
    # Half of the lean is a turn around z.
    angle = 2 * math.acos(
        min(1, abs(np.dot(turn, np.divide(quaternion, np.linalg.norm(quaternion)))))
    )
    assert angle == pytest.approx(math.atan(lean) / 2, abs=1e-6)


DEGENERATE = {
    "all zeros": np.zeros((4, 4)),
    "an axis of no length": np.diag([1.0, 0, 1, 1]),
    "an axis of nearly no length": np.diag([1.0, 1e-12, 1, 1]),
    "no axis at all": np.diag([0.0, 0, 0, 1]),
    "axes in one plane": np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    "one axis twice": np.array([[1.0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]),
    "no number": np.diag([math.nan, 1, 1, 1]),
    "infinite": np.diag([math.inf, 1, 1, 1]),
    "too large to square": np.diag([1e200, 1, 1, 1]),
    "too small to square": np.diag([1e-200, 1e-200, 1e-200, 1]),
    "a projection": np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]),
}


@pytest.mark.parametrize("what", DEGENERATE)
def test_what_has_no_rotation_has_no_pose(what):
    there, turn, kind = pose(DEGENERATE[what])
    assert kind is Kind.NONE
    assert np.isnan(there).all()
    assert np.isnan(turn).all()


any_float = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(any_float, min_size=16, max_size=16))
def test_any_matrix_has_a_unit_quaternion_or_none_and_never_warns(entries):
    matrix = np.array(entries).reshape(4, 4)
    if entries[0] > 0:
        matrix[3] = 0, 0, 0, 1
    there, turn, kind = pose(matrix)
    if kind is Kind.NONE:
        assert np.isnan([*there, *turn]).all()
    else:
        assert np.linalg.norm(turn) == pytest.approx(1)
        assert np.isfinite(there).all()


def test_many_at_once_are_told_apart():
    whole = np.stack(
        [np.eye(4), np.zeros((4, 4)), np.diag([2.0, 2, 2, 1]), np.diag([-1.0, 1, 1, 1])]
    )
    poses = poses_of(whole)
    assert poses.kinds == [Kind.RIGID, Kind.NONE, Kind.SCALED, Kind.MIRRORED]
    assert np.isnan(poses.quaternions).any(axis=1).tolist() == [False, True, False, False]
    assert poses_of(np.empty((0, 4, 4))).kinds == []


# ---- properties


@given(positions, quaternions, lengths)
def test_properties_of_a_node_are_its_matrix(position, quaternion, scale):
    props = {"position": list(position), "quaternion": list(quaternion), "scale": scale}
    there, turn, kind = pose(matrix_of(props))
    assert tuple(there) == position
    assert same_turn(turn, quaternion, 1e-6)
    assert kind is Kind.SCALED


angles = st.floats(-math.pi, math.pi)


@given(angles, angles, angles, st.permutations("XYZ").map("".join))
def test_angles_turn_around_axes_that_turn_as_well(x, y, z, order):
    def around(letter):
        axis = [float(letter == each) for each in "XYZ"]
        angle = {"X": x, "Y": y, "Z": z}[letter]
        turn = [math.sin(angle / 2) * part for part in axis]
        return to_mat((0, 0, 0), [*turn, math.cos(angle / 2)])

    wanted = around(order[0]) @ around(order[1]) @ around(order[2])
    assert matrix_of({"rotation": [x, y, z, order]}) == pytest.approx(wanted, abs=1e-12)
    if order == "XYZ":
        assert matrix_of({"rotation": [x, y, z]}) == pytest.approx(wanted, abs=1e-12)


def test_which_properties_count():
    """As the web client reads them: a matrix replaces all, a quaternion the angles."""
    flat = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 7, 8, 9, 1]
    others = {"position": [1, 2, 3], "rotation": [1, 0, 0], "scale": 2}
    assert matrix_of({"matrix": flat, **others})[:3, 3].tolist() == [7, 8, 9]
    turned = matrix_of({"quaternion": [0, 0, 0, 1], "rotation": [1, 0, 0]})
    assert turned.tolist() == np.eye(4).tolist()
    assert matrix_of({"position": {"x": 1, "y": 2, "z": 3}})[:3, 3].tolist() == [1, 2, 3]
    assert matrix_of({"position": None, "scale": [1, 2, 3]}).diagonal().tolist() == [1, 2, 3, 1]
    assert matrix_of({}).tolist() == np.eye(4).tolist()


@pytest.mark.parametrize(
    ("props", "said"),
    [
        ({"position": "here"}, "position must be 3 numbers, got 'here'"),
        ({"position": [1, 2]}, "position must be 3 numbers"),
        ({"position": [1, 2, True]}, "position must be 3 numbers"),
        ({"position": [1, 2, math.nan]}, "position must be 3 numbers"),
        ({"quaternion": [0, 0, 0, 0]}, "quaternion must be longer than 0"),
        ({"quaternion": [1, 0, 0]}, "quaternion must be 4 numbers"),
        ({"rotation": [0, 0, 0, "XXZ"]}, r"rotation\[3\] must be an order of axes"),
        ({"rotation": [0, 0, 0, 5]}, r"rotation\[3\] must be an order of axes"),
        ({"rotation": 5}, "rotation must be 3 numbers"),
        ({"scale": "big"}, "scale must be 3 numbers"),
        ({"matrix": [1, 2, 3]}, "matrix must be 16 numbers"),
        ({"matrix": 5}, "matrix must be a list of numbers"),
    ],
)
def test_what_is_malformed_is_said(props, said):
    with pytest.raises(ProtocolError, match=said):
        matrix_of(props)
