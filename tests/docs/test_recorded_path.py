"""The plot of a recorded path: its script records what it says, and reads it with other tools."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.doc_blocks import ROOT

pytest.importorskip("mcap_protobuf")
PICTURES = ROOT / "docs" / "pictures"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recorded_path", PICTURES / "recorded_path.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_drawn_is_what_was_sent(script: ModuleType, tmp_path: Path) -> None:
    script.record(tmp_path / "session.mcap")
    paths = script.read(tmp_path / "session.mcap")
    for frame in script.DRAWN:
        rows = paths[frame]
        assert len(rows) == script.SECONDS * script.RATE
        for n, (time, *place) in enumerate(rows.tolist()):
            assert place == pytest.approx(script.places(n / script.RATE)[frame], abs=1e-6)
            # The log times are those of the clock, which is virtual.
            assert time - rows[0, 0] == pytest.approx(n / script.RATE, abs=1e-3)


def test_the_picture_shows_them(script: ModuleType) -> None:
    picture = ElementTree.parse(script.FILE).getroot()
    texts = {"".join(element.itertext()).strip() for element in picture.iter()}
    assert {label for _, label in script.DRAWN.values()} <= texts
    colours = script.FILE.read_text("utf-8")
    for colour, label in script.DRAWN.values():
        assert colour in colours, label
