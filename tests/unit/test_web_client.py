"""The web client without other hosts, and in one file: what does not take a browser."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib

import msgpack
import pytest

from vuer_trio import EncodeError, SceneStore
from vuer_trio._web_client.font import font_data
from vuer_trio._web_client.offline import Edit, edits, offline
from vuer_trio._web_client.single_file import needed_by
from vuer_trio.scene import Scene
from vuer_trio.schemas import Box, DefaultScene

BOX = {"etype": "ADD", "data": {"nodes": [{"tag": "Box", "key": "box", "args": [1, 2, 3]}]}}


def scene_of(*nodes):
    scene = Scene()
    scene.apply({"etype": "ADD", "data": {"nodes": list(nodes)}})
    return scene


# ---- other hosts


def test_other_files_stay_as_they_are():
    text = "import x from './y.js'; fetch(a+b)"
    assert offline(text) is text


def test_an_edit_is_made_near_its_anchor_only():
    edit = Edit("e", "ANCHOR", re.compile("x(.)"), r"<\1>", before=4, after=20)
    far = "-" * 20
    assert edit.apply(f"xa{far}ANCHOR xb{far}xc") == f"xa{far}ANCHOR <b>{far}xc"
    assert edit.apply(f"xa xb ANCHOR xd{far}") == f"xa <b> ANCHOR xd{far}"
    assert edit.apply(f"xa{far}ANCHOR{far}xc") is None
    assert edit.apply("xa") is None
    assert edit.apply(f"ANCHOR{far}{far}ANCHOR xb") == f"ANCHOR{far}{far}ANCHOR <b>"


def test_the_data_of_the_font():
    found = {path: json.loads(text) for path, text in font_data().items()}
    *maps, meta = found.values()
    assert all(version == 1 for version, _ in found.values())
    assert "codepoint-index/plane0/0-ff.json" in found
    [(name, bits)] = maps[0][1]["."].items()
    # As the resolver reads it: six bits in a character, from "0".
    assert all((ord(bits[n // 6]) - 48) >> n % 6 & 1 for n in range(256))
    assert list(found)[-1] == f"font-meta/{name}.json"
    assert meta[1]["id"] == name
    woff = base64.b64decode(meta[1]["file"].partition(",")[2])
    signature, _, length = struct.unpack(">4sII", woff[:12])
    assert (signature, length) == (b"wOFF", len(woff))


def test_no_edit_adds_an_address():
    for edit in edits():
        assert "//" not in edit.replacement.partition("vuerFonts=")[0], edit.name


# ---- one file


def test_a_file_holds_the_scene(tmp_path):
    pytest.importorskip("vuer")
    scene = scene_of({"tag": "Img", "key": "i", "src": b"\xff\xd8", "name": "</script>"})
    assert scene.to_html(tmp_path / "a.html", title="<b>") == []
    text = (tmp_path / "a.html").read_text("utf-8")
    assert "<title>&lt;b&gt;</title>" in text
    [packed] = re.findall(r'id="vuer-scene">(.*)</script>', text)
    event = msgpack.unpackb(zlib.decompress(base64.b64decode(packed)))
    assert event == {"etype": "SET", "ts": 0, "data": scene.to_set()}
    modules = dict(re.findall(r'data-vuer-module="(.*?)">(.*)</script>', text))
    sources = {
        name: zlib.decompress(base64.b64decode(packed)).decode("utf-8", "surrogateescape")
        for name, packed in modules.items()
    }
    # What a module imports is in the file, by a name that the import map knows.
    for name, source in sources.items():
        imported = set(re.findall(r'(?:from|import\()"vuer/([\w.-]+\.js)"', source))
        assert imported <= {*sources, *_left_out(sources)}, name
        assert not re.search(r'(?:from|import\(|import)"\.{1,2}/', source), name
        assert "window.location" not in source
    assert len(text) < 5_000_000  # no emulator, no MuJoCo


def _left_out(sources):
    """The emulator, and what only MuJoCo needs, are imported by who never gets there."""
    main = max(sources.values(), key=len)
    return set(re.findall(r'import\("vuer/([\w.-]+\.js)"\)', main))


def test_the_file_of_a_store(tmp_path):
    pytest.importorskip("vuer")
    store = SceneStore()
    store.set(DefaultScene(Box(key="box")))
    assert store.to_html(tmp_path / "a.html") == []
    assert (tmp_path / "a.html").stat().st_size > 1_000_000


def test_what_a_scene_needs():
    nodes = [
        {"src": "http://localhost:8012/static/a.glb", "name": "http://no.address"},
        {"src": ["/static/b.png", "c/d.png", "data:image/png;base64,AA", b"\xff\xd8"]},
        {"matcapMap": "../e.png", "url": "http://localhost:8012/static/a.glb", "font": "Inter"},
        {"src": None, "path": 5, "texts": "/f"},
    ]
    assert needed_by(nodes) == [
        "http://localhost:8012/static/a.glb",
        "/static/b.png",
        "c/d.png",
        "../e.png",
    ]


def test_what_cannot_be_written(tmp_path, monkeypatch):
    path = tmp_path / "a.html"
    monkeypatch.setattr("vuer_trio._web_client.single_file.web_client", lambda: None)
    with pytest.raises(FileNotFoundError, match=r"needs the web client.*pip install vuer"):
        scene_of().to_html(path)
    with pytest.raises(EncodeError, match=r"\bn\b"):
        scene_of({"tag": "Box", "key": "b", "n": 1 << 70}).to_html(path)
    assert not path.exists()
