"""The gallery has every element, with its picture or with the reason why there is none."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from PIL import Image

from tests.docs.doc_blocks import ROOT
from vuer_trio import schemas
from vuer_trio.codec import make_encoder
from vuer_trio.events import Set

pytest.importorskip("numpy")

PICTURES = ROOT / "docs" / "pictures"
_MOST = 700_000  # bytes, of all pictures together


@pytest.fixture(scope="module")
def gallery() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PICTURES))
        yield importlib.import_module("gallery")


def test_every_element_is_in_it_once(gallery: ModuleType) -> None:
    public = {name: getattr(schemas, name) for name in schemas.__all__}
    elements = {
        name
        for name, item in public.items()
        if isinstance(item, type) and issubclass(item, schemas.Element)
    }
    assert {*gallery.TABLE} | {*gallery.NOT_DRAWN} == elements
    assert not {*gallery.TABLE} & {*gallery.NOT_DRAWN}
    assert sum(map(len, gallery.DRAWN.values())) == len(gallery.TABLE) > 100


def test_the_code_makes_the_element_and_a_scene_that_can_be_sent(gallery: ModuleType) -> None:
    encode = make_encoder()
    for name, drawn in gallery.TABLE.items():
        assert re.search(rf"\b{name}\(", drawn.code), name
        assert all(isinstance(item, schemas.Element) for item in gallery.made(drawn)), name
        assert encode(Set(gallery.scene(drawn, gallery.made(drawn))).to_wire()), name


def test_every_picture_is_there_and_they_are_small(gallery: ModuleType) -> None:
    files = {file.stem: file for file in gallery.FOLDER.iterdir()}
    assert files.keys() == gallery.TABLE.keys(), "run `python docs/pictures/gallery.py`"
    for file in files.values():
        with Image.open(file) as picture:
            assert (picture.format, picture.size) == ("WEBP", gallery.SIZE), file.name
            low, high = picture.convert("L").getextrema()
            assert high - low > 16, f"{file.name} is of one colour"
    assert sum(file.stat().st_size for file in files.values()) < _MOST


def test_the_page_is_current(gallery: ModuleType) -> None:
    assert gallery.PAGE.read_text("utf-8") == gallery.page(), (
        "run `python docs/pictures/gallery.py`"
    )


def test_the_animation_of_the_tutorial_moves_and_is_small() -> None:
    file = PICTURES / "tutorial.webp"
    assert file.stat().st_size < 400_000
    with Image.open(file) as animation:
        assert animation.n_frames > 20
        frames = []
        for n in (0, animation.n_frames // 2):
            animation.seek(n)
            frames.append(animation.convert("RGB").tobytes())
    assert frames[0] != frames[1]
