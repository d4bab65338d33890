"""What `vuer.frame`, `vuer.serdes`, `vuer.types` and `vuer.utils` compute, is computed here."""

import importlib
import math
import string

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import vuer_trio.frame
import vuer_trio.schemas
import vuer_trio.serdes
import vuer_trio.types
import vuer_trio.utils
import vuer_trio.xr
from vuer_trio.events import ClientEvent

pytestmark = pytest.mark.interop
pytest.importorskip("vuer")

their_frame = importlib.import_module("vuer.frame")
their_serdes = importlib.import_module("vuer.serdes")
their_types = importlib.import_module("vuer.types")
their_utils = importlib.import_module("vuer.utils")

AXES = ["X2Y", "X2Z", "Y2X", "Y2Z", "Z2X", "Z2Y"]
numbers = st.floats(-1e3, 1e3)
words = st.text(string.ascii_letters + "/:.", max_size=12)


@pytest.mark.parametrize("name", AXES)
def test_axes(name):
    ours, theirs = getattr(vuer_trio.frame, name), getattr(their_frame, name)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@given(st.tuples(*[numbers] * 3), st.tuples(*[numbers] * 4))
def test_poses(position, quaternion):
    assume(math.hypot(*quaternion) > 1e-3)
    np.testing.assert_allclose(
        vuer_trio.frame.to_mat(position, quaternion),
        their_frame.to_mat(position, quaternion),
        atol=1e-12,
    )


@pytest.mark.parametrize("name", [*AXES, "to_mat"])
def test_xr_has_the_names_of_frame(name):
    assert getattr(vuer_trio.xr, name) is getattr(vuer_trio.frame, name)


@given(st.lists(st.tuples(st.tuples(*[numbers] * 3), st.tuples(*[numbers] * 4)), min_size=1))
def test_joints_are_the_matrices_of_to_mat(poses):
    assume(all(math.hypot(*quaternion) > 1e-3 for _, quaternion in poses))
    theirs = np.resize([their_frame.to_mat(*pose) for pose in poses], (25, 4, 4))
    flat = theirs.transpose(0, 2, 1).ravel().tolist()
    hand = vuer_trio.xr.hands(ClientEvent(etype="HAND_MOVE", value={"right": flat})).right
    np.testing.assert_array_equal(hand.matrices, theirs)
    assert hand.valid.all()
    for name in AXES:
        axes = getattr(their_frame, name)
        np.testing.assert_allclose(
            vuer_trio.xr.change_axes(hand.matrices, getattr(vuer_trio.xr, name)),
            [axes @ pose @ axes.T for pose in theirs],
        )


def pictures():
    shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([None, 3, 4]))
    return st.builds(
        lambda shape, seed: np.random.default_rng(seed).integers(
            0, 256, [n for n in shape if n], dtype=np.uint8
        ),
        shapes,
        st.integers(0, 1000),
    )


@settings(deadline=None)
@given(pictures(), st.integers(1, 95))
def test_pictures(picture, quality):
    assert list(vuer_trio.serdes.IMAGE_FORMATS) == list(their_serdes.IMAGE_FORMATS)
    for name in ("png", "b64png"):
        assert getattr(vuer_trio.serdes, name)(picture) == getattr(their_serdes, name)(picture)
    for name in ("jpeg", "b64jpeg"):
        ours, theirs = getattr(vuer_trio.serdes, name), getattr(their_serdes, name)
        if picture.shape[2:] == (4,):  # JPEG has no transparency
            for function in (ours, theirs):
                with pytest.raises(OSError, match="cannot write mode RGBA"):
                    function(picture)
        else:
            assert ours(picture) == theirs(picture)
            assert ours(picture, quality) == theirs(picture, quality=quality)


def test_a_picture_of_one_channel_is_grey():
    column = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    flat = column[..., 0]
    assert vuer_trio.serdes.jpeg(column) == their_serdes.jpeg(flat)  # theirs takes it flat only


class Leaf:
    def __init__(self, name):
        self.name = name

    def _serialize(self):
        return {"name": self.name}


trees = st.recursive(
    st.none() | st.integers() | words | st.builds(Leaf, words) | st.dictionaries(words, words),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
)


@given(trees)
def test_serializer(tree):
    ours = vuer_trio.serdes.serializer(tree)
    assert ours == their_serdes.serializer(tree)
    assert type(ours) is type(their_serdes.serializer(tree))


@given(words, words)
def test_addresses(address, more):
    ours, theirs = vuer_trio.types.Url(address), their_types.Url(address)
    for a, b in ((ours / more, theirs / more), (ours + more, theirs + more)):
        assert str(a) == str(b)
        assert type(a).__name__ == type(b).__name__ == "Url"
    assert str(more + ours) == str(more + theirs)


@given(st.tuples(numbers, numbers, numbers))
def test_angles(angles):
    ours, theirs = vuer_trio.types.EulerDeg(*angles), their_types.EulerDeg(*angles)
    assert ours == theirs
    assert ours.to_rad()[:3] == pytest.approx(theirs.to_rad()[:3])
    assert ours.to_rad().order == theirs.to_rad().order
    assert ours.unit == theirs.unit
    body = [vuer_trio.types.Vector3(*angles), vuer_trio.types.Euler(*angles), 1.0]
    assert vuer_trio.types.Body(*body) == their_types.Body(*body)


@given(words)
def test_an_address_is_sent_as_text(address):
    from vuer_trio.codec import decode, make_encoder

    box = vuer_trio.schemas.Glb(src=vuer_trio.types.Url(address) / "a.glb", key="a")
    sent = decode(make_encoder()({"etype": "X", "value": box}))
    assert sent["value"]["src"] == str(their_types.Url(address) / "a.glb")


def test_errors_are_printed_alike(capsys):
    vuer_trio.utils.print_error("no robot")
    ours = capsys.readouterr().out
    their_utils.print_error("no robot")
    assert ours == capsys.readouterr().out
