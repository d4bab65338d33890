"""Every input that a fuzzer has found goes through its target, without a fuzzer.

So does each of them when the library has a fault: then one of them says so.
"""

from __future__ import annotations

import warnings
import zipfile

import pytest

from tests.fuzz import corpus, smallest
from tests.fuzz.corpus import TARGETS, keep, kept, target
from tests.fuzz.cutting import cut
from tests.recording_files import need_mcap
from vuer_trio import _json, _values
from vuer_trio._net import http_reply
from vuer_trio._websocket import fast_parser, text_check, upgrade
from vuer_trio.record import recording
from vuer_trio.roomz import packets

pytestmark = pytest.mark.no_cover


def need_what_reads(name):
    if name == "recording":
        need_mcap()


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_is_dealt_with(name):
    need_what_reads(name)
    inputs = kept(name)
    assert len(inputs) > 10
    for data in [*target(name).seeds(), *inputs]:
        target(name).one_input(data)


FAULTS = {
    "text is not looked at": ("client_parser", fast_parser, "is_text", lambda payload: True),
    "nor is it in pieces": ("client_parser", text_check.TextCheck, "feed", lambda *args: True),
    "the wrong key": ("server_parser", fast_parser, "apply_mask", lambda data, key: bytes(data)),
    "an extension counts less": ("codec", _values, "_EXTENSION", 15),
    "a list counts less": ("codec", _values, "_alike", lambda data, at, size: (size, at)),
    "nothing is too deep": ("arc_message", _json, "DEPTH", 1000),
    "a bracket in a string counts": ("arc_message", _json, "_STRINGS", _json._NO_BRACKETS),
    "an unknown packet is none": ("roomz_packet", packets, "_event", lambda data: None),
    "the fields do not count": ("http_reply", http_reply, "_text", lambda value: ""),
    "no key is wanted": ("http_request", upgrade, "b64decode", lambda key, validate: bytes(16)),
    "chunks are not checked": ("recording", recording, "DamagedChunk", ZeroDivisionError),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_library_is_noticed(fault, monkeypatch):
    name, where, attribute, wrong = FAULTS[fault]
    need_what_reads(name)
    inputs = [*target(name).seeds(), *kept(name)]  # imported before it has the fault
    monkeypatch.setattr(where, attribute, wrong)
    with pytest.raises(Exception), warnings.catch_warnings():  # noqa: B017, PT011
        for data in inputs:
            target(name).one_input(data)


def test_the_corpus_is_small():
    archives = sorted((corpus._HERE / "corpus").iterdir())
    assert [path.stem for path in archives] == TARGETS
    assert sum(path.stat().st_size for path in archives) < 500_000


def test_keeping(monkeypatch, tmp_path):
    monkeypatch.setattr(corpus, "_HERE", tmp_path)
    assert kept("a") == []
    assert keep("a", [b"long", b"x", b"", b"x"]) == (tmp_path / "corpus" / "a.zip").stat().st_size
    assert kept("a") == [b"", b"x", b"long"]
    before = (tmp_path / "corpus" / "a.zip").read_bytes()
    keep("a", [b"x", b"long", b""])
    assert (tmp_path / "corpus" / "a.zip").read_bytes() == before
    assert zipfile.ZipFile(tmp_path / "corpus" / "a.zip").testzip() is None


def test_the_smallest_that_go_all_ways():
    inputs = [b"[1]", b"[1, 2]", b"[[", b'{"a": 1}', b"[1]", b"nonsense", b"more nonsense"]
    one_input = target("arc_message").one_input
    chosen = smallest.smallest(inputs, one_input)
    assert chosen[0] == b"[["
    assert {b'{"a": 1}', b"[1]"} <= {*chosen}
    assert b"more nonsense" not in chosen
    every = set().union(*(smallest.ways(data, one_input) for data in inputs))
    assert set().union(*(smallest.ways(data, one_input) for data in chosen)) == every


@pytest.mark.parametrize("how", range(10))
def test_pieces_are_the_whole(how):
    data = bytes(range(200))
    assert b"".join(cut(data, how)) == data
    assert cut(b"", how) == []
    assert all(cut(data, how))
