"""Elements of the gallery are drawn: something is to be seen that is not there without them."""

from __future__ import annotations

import importlib
import sys

import pytest

from tests import ROOT
from tests.repetitions import part
from vuer_trio import Vuer

pytest.importorskip("numpy")

_FOLDER = str(ROOT / "docs" / "pictures")


def _gallery():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [_FOLDER, *sys.path])
        return importlib.import_module("gallery")


GALLERY = _gallery()


@pytest.mark.parametrize("name", part(GALLERY.TABLE, 3))
def test_an_element_is_drawn(name, serve, artefacts):
    with serve(Vuer("127.0.0.1", 0)) as harness:
        ((_, picture),) = GALLERY.pictures(harness.open, [name])
    assert picture.size == GALLERY.SIZE
    picture.save(artefacts / f"gallery_{name}.png")


def test_an_element_that_cannot_be_seen_is_noticed(serve, monkeypatch):
    monkeypatch.setitem(GALLERY.TABLE, "Nothing", GALLERY.Drawn("Group()"))
    with serve(Vuer("127.0.0.1", 0)) as harness:
        with pytest.raises(RuntimeError, match="nothing is to be seen of Nothing"):
            next(GALLERY.pictures(harness.open, ["Nothing"]))
