"""Elements and their form on the wire."""

import copy
import importlib
import inspect
import pathlib
import subprocess
import sys
from typing import Any, is_typeddict

import numpy as np
import pytest

from vuer_trio import schemas
from vuer_trio._errors import EncodeError
from vuer_trio.codec import decode, make_encoder
from vuer_trio.events import Set
from vuer_trio.schemas import BlockElement, DefaultScene, Element, Scene


class Box(BlockElement):
    tag = "Box"


class Foreign:
    """An element of another library: it has ``_serialize``, and that is all."""

    def _serialize(self) -> dict[str, Any]:
        return {"tag": "Foreign", "at": np.array([1, 2])}


FOREIGN = {"tag": "Foreign", "at": [1, 2]}


def test_an_element() -> None:
    box = Box(key="b", args=[1, 2], color=None, _private=1)
    assert (box.tag, box.key, box.args, box._private) == ("Box", "b", [1, 2], 1)
    assert box._serialize() == {"tag": "Box", "key": "b", "args": [1, 2], "color": None}
    box.args = (3,)
    box.later = np.float32(0.5)
    assert box._serialize() == {
        "tag": "Box",
        "key": "b",
        "args": [3],
        "color": None,
        "later": 0.5,
    }
    assert Element(key="d")._serialize() == {"tag": "div", "key": "d"}
    assert Element(tag="Own", key="o").tag == "Own"
    assert not hasattr(box, "nope")
    assert repr(box) == "<Box Box key='b'>"
    assert copy.deepcopy(box)._serialize() == box._serialize()


def test_keys_are_counted() -> None:
    first, second = Element(), Box()
    assert int(second.key) == int(first.key) + 1
    assert int(Element(key="").key) == int(first.key) + 2

    class Fixed(Element):
        key = "fixed"

    assert Fixed().key == "fixed"
    assert Fixed(key="own").key == "own"


def test_values_become_plain() -> None:
    box = Box(
        key="b",
        matrix=np.eye(2),
        path=pathlib.PurePosixPath("/a"),
        deep={"n": (np.int8(1), [np.bool_(True)])},
        src=b"\x00",
        material=Element(tag="M", key="m"),
    )
    assert box._serialize() == {
        "tag": "Box",
        "key": "b",
        "matrix": [[1.0, 0.0], [0.0, 1.0]],
        "path": "/a",
        "deep": {"n": [1, [True]]},
        "src": b"\x00",
        "material": {"tag": "M", "key": "m"},
    }


def test_what_a_subclass_sets_first() -> None:
    class Robot(BlockElement):
        tag = "Robot"
        seen: Any = None

        def __init__(self, src: str, **props: Any) -> None:
            self.src = src
            self.joints = 6
            self._note = "kept here"
            super().__init__(**props)

        def __post_init__(self, **props: Any) -> None:
            self._seen = props

    robot = Robot("a.urdf", key="r", joints=7)
    assert robot._serialize() == {"tag": "Robot", "key": "r", "src": "a.urdf", "joints": 7}
    assert robot._seen == {"src": "a.urdf", "joints": 7}


def test_children() -> None:
    group = Box(Box(key="in"), None, "text", {"tag": "div"}, Foreign(), key="out")
    assert group._serialize()["children"] == [
        {"tag": "Box", "key": "in"},
        "text",
        {"tag": "div"},
        FOREIGN,
    ]
    assert "children" not in Box(key="b")._serialize()
    assert Box(key="b", children=[Box(key="c")])._serialize()["children"] == [
        {"tag": "Box", "key": "c"}
    ]
    spans = Box(key="b", children=(schemas.span(text, key="s") for text in "ab"))
    assert [child["text"] for child in spans._serialize()["children"]] == ["a", "b"]
    assert Box(key="b", children=[])._serialize()["children"] == []


def test_a_scene() -> None:
    assert Scene(key="s")._serialize() == {"tag": "Scene", "key": "s", "up": [0, 1, 0]}
    scene = Scene(
        Box(key="c"),
        rawChildren=Box(key="r"),
        htmlChildren=[Box(key="h"), None],
        bgChildren=(Foreign(),),
        up=[0, 0, 1],
        background="#fff",
        toneMapping="aces",
        toneMappingExposure=0.0,
        frameloop="demand",
        camPosition=np.array([1, 2, 3]),
        camRotation=[0, 0, 0],
        key="s",
        grid=False,
    )
    assert scene._serialize() == {
        "tag": "Scene",
        "key": "s",
        "grid": False,
        "children": [{"tag": "Box", "key": "c"}],
        "rawChildren": [{"tag": "Box", "key": "r"}],
        "htmlChildren": [{"tag": "Box", "key": "h"}],
        "bgChildren": [FOREIGN],
        "up": [0, 0, 1],
        "background": "#fff",
        "toneMapping": "aces",
        "toneMappingExposure": 0.0,
        "frameloop": "demand",
        "camPosition": [1, 2, 3],
        "camRotation": [0, 0, 0],
    }
    assert decode(make_encoder()(Set(scene).to_wire()))["data"] == scene._serialize()


def test_empty_slots_of_a_scene() -> None:
    scene = Scene(rawChildren=[], htmlChildren=[], bgChildren=[], background="", key="s", up=None)
    assert scene._serialize() == {"tag": "Scene", "key": "s", "up": None, "rawChildren": []}
    assert Scene(rawChildren=(Box(key="r"),))._serialize()["rawChildren"] == [
        {"tag": "Box", "key": "r"}
    ]
    assert Scene(background=np.zeros(2))._serialize()["background"] == [0.0, 0.0]


def test_scenes_share_nothing() -> None:
    first = Scene()
    first.up.append(1)
    assert Scene().up == [0, 1, 0]


def test_the_default_scene() -> None:
    scene = DefaultScene(Box(key="c"), bgChildren=[Box(key="own")], up=[0, 0, 1], key="s")
    wire = scene._serialize()
    keys = [child["key"] for child in wire["bgChildren"]]
    assert keys[0] == "grid"
    assert keys[-1] == "own"
    assert len(keys) == 10
    assert wire["children"] == [{"tag": "Box", "key": "c"}]
    assert wire["up"] == [0, 0, 1]
    bare = DefaultScene(grid=False)._serialize()
    assert [child["key"] for child in bare["bgChildren"]] == keys[1:-1]
    assert "grid" not in bare


def test_the_types_of_properties_are_not_loaded() -> None:
    """They are for editors and checkers; each says its units."""
    program = "import sys, vuer_trio.schemas; print('vuer_trio.schemas.properties' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.split() == [b"False"]
    properties = importlib.import_module("vuer_trio.schemas.properties")
    families = [item for item in vars(properties).values() if is_typeddict(item)]
    assert len(families) > 25
    for family in families:
        assert inspect.getdoc(family), family
        assert not family.__required_keys__, family


def test_what_is_no_child() -> None:
    for child, text in (
        (
            [0.3, 0.3, 0.3],
            r"child of <Box Box key='b'> must be an element, .* got \[0.3, 0.3, 0.3\]",
        ),
        (Box, "child of <Box Box key='b'> must be an element, got the class Box itself"),
        (1, "must be an element, .* got 1"),
    ):
        box = Box(child, key="b")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=text):
            box._serialize()
        with pytest.raises(EncodeError, match=text) as caught:
            make_encoder()(Set(box).to_wire())
        assert caught.value.path == "data"
    with pytest.raises(
        TypeError, match=r"child of <Scene Scene key='s'> must be an element, .* got 1"
    ):
        Scene(htmlChildren=[1], key="s")._serialize()  # type: ignore[list-item]


def test_what_a_class_assumes_is_not_sent() -> None:
    hands = schemas.Hands()
    assert (hands.key, hands.stream) == ("hands", True)
    assert hands._serialize() == {"tag": "Hands", "key": "hands"}
    assert schemas.Hands(stream=True, key="h")._serialize()["stream"] is True
    assert schemas.group().children == ()


def test_points_leave_the_callers_arrays_alone() -> None:
    points, colors = np.ones((2, 3)), np.full((2, 4), 0.5)
    for _ in range(2):
        cloud = schemas.PointCloud(vertices=points, colors=colors, key="p")
        assert cloud._serialize() == {
            "tag": "PointCloud",
            "key": "p",
            "vertices": b"\x00\x3c" * 6,
            "colors": b"\x7f" * 6,
        }
    assert points.sum() == 6
    assert colors.sum() == 4


def test_a_picture() -> None:
    image = schemas.Image(np.zeros((20, 30, 3), np.uint8), key="i")
    assert image.rgb[:4] == b"\x89PNG"
    assert (image.aspect, image.height) == (1.5, 0.02)
    assert set(image._serialize()) == {"tag", "key", "rgb", "aspect", "height"}
    assert schemas.Image(src="a.png", key="i")._serialize() == {
        "tag": "Image",
        "key": "i",
        "rgb": "a.png",
    }


def test_a_picture_file_is_closed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(schemas.Img(np.zeros((2, 2), np.uint8)).src)
    assert schemas.Img(path).src[:4] == b"\x89PNG"  # a ResourceWarning, were it left open
    with pytest.raises(ValueError, match="use png or jpeg"):
        schemas.Img(path, format="b64png")
    with pytest.raises(FileNotFoundError, match="no such image file") as caught:
        schemas.Img(tmp_path / "b.png")
    assert caught.value.filename == str(tmp_path / "b.png")


def test_a_picture_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert schemas.Img(src=b"encoded").src == b"encoded"
    with pytest.raises(ImportError, match=r"pip install 'vuer-trio\[image\]'"):
        schemas.Img("a.png")


@pytest.mark.parametrize("name", schemas.__all__)
def test_the_public_names(name: str) -> None:
    assert hasattr(schemas, name)


def test_all_that_is_public_is_in_all() -> None:
    classes = {
        name
        for name, item in vars(schemas).items()
        if inspect.isclass(item) and issubclass(item, Element)
    }
    assert classes <= set(schemas.__all__)
    assert len(classes) == 169
    assert len(set(schemas.__all__)) == len(schemas.__all__)
    for name in classes:
        assert inspect.getdoc(getattr(schemas, name)), name
        assert "__doc__" in vars(getattr(schemas, name)), name


def test_an_element_that_serializes_itself_may_give_what_has_to_be_converted() -> None:
    """Only what the elements of this package give is known to be plain."""

    class Pair(Box):
        def _serialize(self) -> Any:
            return {**super()._serialize(), "at": np.arange(3), "other": Box(key="inner")}

    class Both(BlockElement):
        def _serialize(self) -> Any:
            return [Box(key="a"), Pair(key="b")]

    outer = Scene(Pair(key="pair"), Both(key="both"))
    [pair, both] = decode(make_encoder()({"etype": "X", "data": outer}))["data"]["children"]
    assert (pair["key"], pair["at"], pair["other"]["key"]) == ("pair", [0, 1, 2], "inner")
    assert [node["key"] for node in both] == ["a", "b"]
    assert both[1]["other"]["tag"] == "Box"
