"""``python -m vuer_trio.record export --json``, as a shell runs it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from base64 import b64decode

import msgpack
import pytest

from tests.recording_files import need_mcap, packed, recorded
from vuer_trio.record.export import plain_json

need_mcap()

COMMAND = [sys.executable, "-W", "error", "-m", "vuer_trio.record"]


def export(*arguments, **options):
    done = subprocess.run(
        [*COMMAND, "export", *map(str, arguments)],
        capture_output=True,
        encoding="ascii",
        timeout=60,
        **options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def path(tmp_path):
    seen = [
        (0.0, "sent", packed("INIT", {"é": b"\x00\xff"}, ts=1_700_000_000_500)),
        (0.5, "received", packed("ODD", [math.inf, math.nan, {"$bytes": 1}])),
        (1.0, "received", b"\xc1"),
        (1.5, "sent", packed("ON_CLICK", msgpack.ExtType(5, b"abc"))),
        (2.0, "sent", packed("WHEN", msgpack.Timestamp(1, 0))),
    ]
    return recorded(tmp_path / "run.mcap", seen)


def test_each_message_is_a_line_of_json(path):
    done = export("--json", path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0] == {
        "time": 1_700_000_000.0,
        "published": 1_700_000_000.5,
        "direction": "sent",
        "etype": "INIT",
        "event": {"etype": "INIT", "ts": 1_700_000_000_500, "value": {"é": {"$bytes": "AP8="}}},
    }
    assert lines[1]["event"]["value"] == [
        {"$float": "inf"},
        {"$float": "nan"},
        {"$map": [["$bytes", 1]]},
    ]
    assert lines[2] == {
        "time": 1_700_000_001.0,
        "published": 1_700_000_001.0,
        "direction": "received",
        "etype": "",
        "event": None,
        "payload": {"$bytes": "wQ=="},
    }
    assert lines[3]["event"]["value"] == {"$ext": [5, "YWJj"]}
    assert lines[4]["event"]["value"] == {"$ext": [-1, "AAAAAQ=="]}


def test_some_types_or_one_direction(path):
    done = export("--json", path, "--etype", "CLICK", "--etype", "ODD")
    assert [json.loads(line)["etype"] for line in done.stdout.splitlines()] == ["ODD", "ON_CLICK"]
    done = export("--json", path, "--direction", "sent")
    assert len(done.stdout.splitlines()) == 3


def test_what_is_nested_deeper_than_json_goes(tmp_path):
    message = b"\x82\xa5etype\xa1A\xa5value" + b"\x91" * 900 + b"\xc0"
    done = export("--json", recorded(tmp_path / "deep.mcap", [(0.0, "sent", message)]))
    (line,) = map(json.loads, done.stdout.splitlines())
    if line["event"] is None:  # it depends on the Python how deep that is
        assert b64decode(line["payload"]["$bytes"]) == message
    else:
        assert json.dumps(line["event"]).count("[") == 900
    assert done.returncode == 0


def test_an_unfinished_recording_is_printed_with_a_warning_and_status_3(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    done = export("--json", path)
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 5
    assert done.stderr.startswith(f"warning: {path}: it was not finished")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"hello", "is not a recording"),
        (b"", "is not a recording"),
    ],
)
def test_what_can_not_be_read(tmp_path, content, said):
    path = tmp_path / "other.mcap"
    if content is not None:
        path.write_bytes(content)
    done = export("--json", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert str(path) in done.stderr


def test_a_folder(tmp_path):
    done = export("--json", tmp_path)
    assert (done.returncode, done.stderr) == (1, f"error: {tmp_path}: Is a directory\n")


@pytest.mark.parametrize("arguments", [(), ("--json",), ("x.mcap",), ("--json", "x", "--wrong")])
def test_wrong_arguments(arguments):
    done = export(*arguments)
    assert done.returncode == 2
    assert "usage: python -m vuer_trio.record" in done.stderr


def test_a_reader_that_goes_away(tmp_path):
    seen = [(n / 1000, "sent", packed("N", "x" * 100)) for n in range(20_000)]
    path = recorded(tmp_path / "long.mcap", seen)
    with subprocess.Popen(
        [*COMMAND, "export", "--json", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(60) == 1
    assert errors == b""


def test_values_that_json_has_stay_as_they_are():
    value = {"a": [1, 2.5, True, None, "x"], "b": {}, "c": {"$other": 1}}
    assert plain_json(value) == value
