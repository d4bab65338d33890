"""Every element class against the reference's class of that name: the same node for the same words.

Where ours is another on purpose, it stands in ``element_cases.DEVIATIONS``, with the reason.
"""

import contextlib
import gc
import inspect
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from tests.interop.element_cases import DEVIATIONS, POINTS, RAISES, REFUSED, SAME, Build
from tests.interop.reference_tests import borrow
from vuer_trio import schemas
from vuer_trio.codec import decode, make_encoder

pytestmark = pytest.mark.interop

BORROWED = borrow(
    "schemas/__tests__",
    ("test_image.py", "test_img_component.py"),
)


def element_classes(module: Any, base: type) -> dict[str, type]:
    return {
        name: item
        for name, item in vars(module).items()
        if not name.startswith("_") and isinstance(item, type) and issubclass(item, base)
    }


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import vuer.schemas as reference
    from vuer.server import _default_encoder as their_default

THEIRS = element_classes(reference, reference.Element)
OURS = element_classes(schemas, schemas.Element)
PICTURES = {name for name, item in THEIRS.items() if issubclass(item, reference.Img)}
CLOUDS = {"PointCloud", "p", "TriMesh"}

each_class = pytest.mark.parametrize("name", sorted(THEIRS))


# -- both on the wire ----------------------------------------------------------------------------


def their_wire(node: Any) -> Any:
    """What the reference's server sends for ``node``, in the precision of ours."""
    node = node._serialize() if hasattr(node, "_serialize") else node
    return msgpack.unpackb(msgpack.packb(node, use_bin_type=True, default=their_default))


def our_wire(node: Any) -> Any:
    wire = decode(make_encoder()({"etype": "X", "value": node}))["value"]
    assert decode(make_encoder()({"etype": "X", "value": node._serialize()}))["value"] == wire
    return wire


def steady(wire: Any) -> Any:
    """Without the keys that were counted, and only these."""
    if isinstance(wire, list):
        return [steady(item) for item in wire]
    if not isinstance(wire, dict):
        return wire
    wire = {name: steady(item) for name, item in wire.items()}
    if isinstance(wire.get("key"), str) and wire["key"].isdecimal():
        wire["key"] = "(counted)"
    return wire


def both(build: Build) -> tuple[Any, Any]:
    return steady(our_wire(build(schemas))), steady(their_wire(build(reference)))


@contextlib.contextmanager
def files_left_open() -> Iterator[None]:
    """Theirs are; what runs after it must not be blamed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


# -- the classes ---------------------------------------------------------------------------------


def test_the_same_classes_by_the_same_names() -> None:
    assert len(THEIRS) == 169
    assert set(OURS) == set(THEIRS)
    assert set(schemas.__all__) >= set(THEIRS)


@each_class
def test_the_same_relations(name: str) -> None:
    def public(cls: type) -> list[str]:
        return [base.__name__ for base in cls.__mro__ if base.__name__ in THEIRS]

    assert public(OURS[name]) == public(THEIRS[name])


@each_class
def test_the_same_tag_and_the_same_assumptions(name: str) -> None:
    ours, theirs = OURS[name], THEIRS[name]
    for attribute in dir(theirs):
        item = getattr(theirs, attribute)
        if attribute.startswith("_") or callable(item) or attribute == "visibile":  # misspelt
            continue
        assert getattr(ours, attribute) == (() if item == [] else item)  # lists would be shared


@each_class
def test_the_same_positional_arguments(name: str) -> None:
    def positional(cls: Any) -> list[Any]:
        parameters = list(inspect.signature(cls).parameters.values())
        return [
            (p.name, p.kind, p.default)
            for p in parameters
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)
        ]

    def keywords(cls: Any) -> dict[str, Any]:
        parameters = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    assert positional(OURS[name]) == positional(THEIRS[name])
    ours, theirs = keywords(OURS[name]), keywords(THEIRS[name])
    shared = (ours.keys() & theirs.keys()) - {"up"}  # a list there, which all scenes share
    assert {k: ours[k] for k in shared} == {k: theirs[k] for k in shared}


# -- each class, with the same words -------------------------------------------------------------


def needs(name: str) -> dict[str, Any]:
    """What the class cannot be made without, or is not worth much without."""
    cloud = {"vertices": np.arange(9.0).reshape(3, 3)}
    if name == "TriMesh":
        return {**cloud, "faces": np.array([[0, 1, 2]])}
    return cloud if name in CLOUDS else {"src": "https://host/a.png"} if name in PICTURES else {}


PATTERNS: dict[str, dict[str, Any]] = {
    "key": {"key": "k"},
    "empty key": {"key": ""},
    "number as key": {"key": 7},
    "common": {
        "key": "k",
        "position": [0, 0.5, 0],
        "rotation": (0, 1.5, 0),
        "scale": 2,
        "args": [1, 2.5],
        "color": "red",
        "visible": False,
        "nothing": None,
    },
    "arrays": {
        "key": "k",
        "position": np.array([1, 2, 3]),
        "rotation": np.zeros(3, np.float32),
        "scale": np.float32(0.1),
        "matrix": np.eye(4),
        "visible": np.bool_(True),
        "deep": {"list": [np.int8(1), (np.array([2.5]),)], "empty": [], "none": None},
    },
    "paths and bytes": {"key": "k", "file": Path("a/b.glb"), "blob": b"\0\xff", "name": "été"},
    "private": {"key": "k", "_note": "stays"},
    "what classes assume": {"key": "k", "stream": False, "fps": 5, "speed": 0.5, "low": None},
    "names of methods": {"key": "k", "serialize": 1, "post_init": 2},
    "no children": {"key": "k", "children": None},
}


@each_class
def test_the_same_node(name: str) -> None:
    for pattern, words in PATTERNS.items():
        words = {**needs(name), **words}
        ours, theirs = both(lambda s, words=words: getattr(s, name)(**words))
        assert ours == theirs, pattern
        assert ours["tag"] == THEIRS[name].tag


@each_class
def test_the_same_key_without_one(name: str) -> None:
    ours, theirs = both(lambda s: getattr(s, name)(**needs(name)))
    assert ours == theirs
    assert ours["key"] == getattr(THEIRS[name], "key", None) or ours["key"] in (
        "(counted)",
        "motionControllers",
        "webxr-mesh",
    )


def takes_children(name: str) -> bool:
    parameters = inspect.signature(THEIRS[name]).parameters
    return "children" in parameters and name != "Fog"


@pytest.mark.parametrize("name", [name for name in sorted(THEIRS) if takes_children(name)])
def test_the_same_children(name: str) -> None:
    def build(s: Any) -> Any:
        inner = getattr(s, name)(s.Box(key="deep"), key="inner", **needs(name))
        return getattr(s, name)(
            inner, "text", {"tag": "div", "key": "d"}, s.span("a", key="s"), **needs(name), key="k"
        )

    ours, theirs = both(build)
    assert ours == theirs
    assert len(ours["children"]) == 4
    assert ours["children"][0]["children"] == [{"tag": "Box", "key": "deep"}]
    ours, theirs = both(
        lambda s: getattr(s, name)(key="k", children=[s.Box(key="b"), "t"], **needs(name))
    )
    assert ours == theirs


@each_class
def test_the_same_as_a_child(name: str) -> None:
    ours, theirs = both(
        lambda s: s.Scene(
            s.group(getattr(s, name)(key="k", **needs(name)), key="g"),
            bgChildren=[getattr(s, name)(key="b", **needs(name))],
            htmlChildren=[getattr(s, name)(key="h", **needs(name))],
            rawChildren=[getattr(s, name)(key="r", **needs(name))],
            key="s",
        )
    )
    assert ours == theirs


@each_class
def test_no_positional_argument_where_they_take_none(name: str) -> None:
    kinds = {p.kind for p in inspect.signature(THEIRS[name]).parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        return
    for cls in (THEIRS[name], OURS[name]):
        with pytest.raises(TypeError, match="positional argument"):
            cls("text")


# -- what single classes do ----------------------------------------------------------------------


@pytest.mark.parametrize("name", SAME)
def test_the_same_from_a_class_of_its_own(name: str) -> None:
    ours, theirs = both(SAME[name])
    assert ours == theirs
    assert len(ours) >= 2


def test_an_address_of_their_type_is_text() -> None:
    from vuer.types import Url

    ours, theirs = both(lambda s: s.Glb(src=Url("https://host") / "a.glb", key="k"))
    assert ours == theirs
    assert ours["src"] == "https://host/a.glb"


def test_attributes_may_be_changed() -> None:
    def build(s: Any) -> Any:
        cloud = s.PointCloud(vertices=POINTS, key="k")
        cloud.vertices = cloud.vertices[:6]
        cloud.size = np.float32(0.5)
        cloud.children = [s.Box(key="b")]
        return cloud

    ours, theirs = both(build)
    assert ours == theirs
    assert len(ours["vertices"]) == 6


# -- what neither takes --------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_neither_takes(name: str) -> None:
    build, kind, text = REFUSED[name]
    with files_left_open(), pytest.raises(Exception):  # noqa: B017, PT011 - theirs are of any kind
        their_wire(build(reference))
    with pytest.raises(kind, match=text):
        build(schemas)._serialize()


# -- where ours is another -----------------------------------------------------------------------


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_deviation(name: str, capfd: Any) -> None:
    build, theirs, ours, _ = DEVIATIONS[name]
    for s, wire, expected in ((reference, their_wire, theirs), (schemas, our_wire, ours)):
        if expected is RAISES:
            with pytest.raises((TypeError, ValueError, AttributeError)):
                wire(build(s))
        else:
            assert wire(build(s)) == expected
    assert theirs != ours


# -- the reference's own tests -------------------------------------------------------------------


@pytest.mark.parametrize("name", BORROWED)
def test_of_the_reference(name: str) -> None:
    with files_left_open():
        BORROWED[name]()


def test_all_of_them_were_found() -> None:
    assert len(BORROWED) >= 30
    assert all(isinstance(test, types.FunctionType) for test in BORROWED.values())
