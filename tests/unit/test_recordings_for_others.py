"""Recordings as other tools read them: written again, as a folder, summed up."""

from __future__ import annotations

import csv
import json
import math
import random
import stat
import sys
from base64 import b64encode
from pathlib import Path

import jsonschema
import msgpack
import pyarrow.parquet
import pytest

from tests.foxglove_reader import derived_in, transforms_in
from tests.recording_files import EPOCH, fill_the_disk, new_file, packed, put_all, recorded
from vuer_trio.record import (
    DamagedRecording,
    NotARecording,
    Script,
    open_recording,
    summarize,
    to_folder,
    to_foxglove,
)
from vuer_trio.record.file import RecordingFile
from vuer_trio.record.folder import IMAGE_COLUMNS, POSE_COLUMNS, _Names
from vuer_trio.record.foxglove import EVENT_SCHEMA, Translator
from vuer_trio.record.outline import outline
from vuer_trio.testing import hand_move, small_jpeg

JPEG, PNG = small_jpeg(), b"\x89PNG\r\n\x1a\n" + b"rest of it"
WEBP = b"RIFF\x00\x00\x00\x00WEBPrest"
IDENTITY = [1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
HANDS = packed("HAND_MOVE", hand_move().value, ts=1_700_000_000_000)


def scene_set(*nodes):
    return packed("SET", data={"tag": "Scene", "children": list(nodes)})


def upsert(*nodes):
    return packed("UPSERT", data={"nodes": list(nodes), "to": None})


BOX = {"tag": "Box", "key": "box", "position": [1, 2, 3]}
SEEN = [
    (0.0, "sent", packed("INIT", {"client": "browser"})),
    (0.1, "received", scene_set(BOX, {"tag": "Image", "key": "view/1", "rgb": JPEG})),
    (0.2, "sent", HANDS),
    (0.3, "sent", packed("HEAD_MOVE", {"matrix": IDENTITY}, key="head")),
    (0.4, "sent", packed("CAMERA_MOVE", {"camera": {"position": [0, 1, 2]}}, key="my camera")),
    (0.5, "received", upsert({"tag": "Image", "key": "view/1", "rgb": PNG, "depth": WEBP})),
    (0.7, "sent", packed("CONTROLLER_MOVE", {"left": IDENTITY, "right": None}, key="c")),
    (0.8, "received", packed("UPDATE", data={"nodes": [{"key": "box", "position": [4, 5, 6]}]})),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.mcap"


@pytest.fixture
def recording(path):
    return open_recording(recorded(path, SEEN))


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- written again


def without_libraries(path):
    return {topic: [(t, str(m)) for t, m in lines] for topic, lines in derived_in(path).items()}


def test_what_is_written_again_is_what_would_have_been_written_at_once(recording, tmp_path):
    again = tmp_path / "again.mcap"
    assert to_foxglove(recording, again) == []
    at_once = recorded(tmp_path / "at once.mcap", SEEN, foxglove=True)
    assert without_libraries(again) == without_libraries(at_once)
    old, new = list(recording), list(open_recording(again))
    kept = ("log_time", "publish_time", "direction", "sender", "etype", "payload")
    assert [[getattr(e, name) for name in kept] for e in new] == [
        [getattr(e, name) for name in kept] for e in old
    ]
    assert (open_recording(again).uri, open_recording(again).complete) == (recording.uri, True)
    assert stat.S_IMODE(again.stat().st_mode) == 0o600
    third = tmp_path / "third.mcap"  # of one that has them already
    to_foxglove(open_recording(again), third)
    assert without_libraries(third) == without_libraries(again)


def test_times_are_kept_to_the_nanosecond(path, tmp_path):
    chance = random.Random(1)
    file = new_file(path)
    for n in range(2000):
        put_all(file, [(n * chance.random() * 1000, "sent", packed("A", n))])
    file.finish()
    to_foxglove(open_recording(path), tmp_path / "again.mcap")
    times = [e.log_time for e in open_recording(path)]
    assert [e.log_time for e in open_recording(tmp_path / "again.mcap")] == times


def test_gaps_are_kept(path, tmp_path):
    file = new_file(path)
    put_all(file, SEEN[:2])
    file.miss(0.15, "sent", 3)
    file.miss(0.16, "received", 2)
    put_all(file, SEEN[2:])
    file.finish()
    to_foxglove(open_recording(path), tmp_path / "again.mcap")
    assert open_recording(tmp_path / "again.mcap").dropped == 5
    assert summarize(tmp_path / "again.mcap").gaps == summarize(path).gaps


def test_topics_and_pictures(recording, tmp_path):
    to_foxglove(recording, tmp_path / "again.mcap")
    derived = derived_in(tmp_path / "again.mcap")
    assert {topic: len(found) for topic, found in derived.items() if topic[:6] != "/json/"} == {
        "/tf/world": 1,
        "/tf/scene/box": 2,
        "/tf/left-hand": 25,
        "/tf/right-hand": 25,
        "/tf/head": 1,
        "/tf/camera/my camera": 1,
        "/tf/left-controller": 1,
        "/images/view/1/rgb": 2,
        "/images/view/1/depth": 1,
    }
    images = [(image.format, image.data) for _, image in derived["/images/view/1/rgb"]]
    assert images == [("jpeg", JPEG), ("png", PNG)]
    ((_, depth),) = derived["/images/view/1/depth"]
    assert (depth.format, depth.data) == ("webp", WEBP)
    assert depth.frame_id == "images/view/1/depth"
    (camera,) = transforms_in(tmp_path / "again.mcap")["camera/my camera"]
    assert (camera.translation.y, camera.translation.z, camera.rotation.w) == (1, 2, 1)


def test_the_frame_of_a_scene_whose_z_axis_points_up(path, tmp_path):
    up = packed("SET", data={"tag": "Scene", "up": [0, 0, 1], "children": [BOX]})
    recorded(path, [(0.0, "received", up)], foxglove=True)
    (world,) = transforms_in(path)["vuer"]
    turn = world.rotation
    assert (turn.x, turn.y, turn.z, turn.w) == (0, 0, 0, 1)


def test_the_frame_of_the_scene_is_told_once_a_second(path):
    seen = [(n / 10, "sent", HANDS) for n in range(35)]
    recorded(path, seen, foxglove=True)
    assert [t - EPOCH for t, _ in derived_in(path)["/tf/world"]] == [0, 10**9, 2 * 10**9, 3 * 10**9]


def test_json_of_what_json_can_not_say(path):
    odd = {
        "bytes": b"\0\1",
        "long": bytes(2000),
        "floats": [0.5, math.inf],
        "many": list(range(2000)),
        "few": [1, 2],
        "nan": math.nan,
        "ext": msgpack.ExtType(5, b"\0"),
        "looks": {"$bytes": 1},
        "url": "data:image/png;base64," + b64encode(PNG).decode(),
        "no url": "data:image/png;base64,???",
        "text": "data:image/png;base64," + b64encode(b"no picture").decode(),
    }
    recorded(path, [(0.0, "sent", packed("ODD", odd))], foxglove=True)
    ((_, line),) = derived_in(path)["/json/sent/ODD"]
    jsonschema.validate(line, EVENT_SCHEMA)
    assert line["event"]["value"] == {
        "bytes": {"$bytes": "AAE="},
        "long": {"$omitted": 2000},
        "floats": [0.5, {"$float": "inf"}],
        "many": {"$omitted": 2000},
        "few": [1, 2],
        "nan": {"$float": "nan"},
        "ext": {"$ext": [5, "AA=="]},
        "looks": {"$map": [["$bytes", 1]]},
        "url": {"$image": "/images/ODD/url"},
        "no url": "data:image/png;base64,???",
        "text": "data:image/png;base64," + b64encode(b"no picture").decode(),
    }
    ((_, image),) = derived_in(path)["/images/ODD/url"]
    assert image.data == PNG


def nested(depth):
    return b"\x82\xa5etype\xa1A\xa5value" + b"\x91" * depth + b"\xc0"


HOSTILE = {
    "no event": b"\xc1",
    "text": b"hello",
    "nested deeply": nested(500),
    "hands that are text": packed("HAND_MOVE", "hands"),
    "hands of text": packed("HAND_MOVE", {"left": "x", "right": 5}),
    "too few numbers": packed("HAND_MOVE", {"left": [1, 2]}),
    "not finite": packed("HAND_MOVE", {"left": [math.nan] * 400}),
    "a head of bytes": packed("HEAD_MOVE", {"matrix": b"abc"}),
    "a camera that is a number": packed("CAMERA_MOVE", {"camera": 5}),
    "matrices that disagree": packed("CAMERA_MOVE", {"matrix": 5, "camera": {"matrix": IDENTITY}}),
    "a key that is a list": packed("CAMERA_MOVE", {"matrix": IDENTITY}, key=[1]),
    "huge numbers": packed("CAMERA_MOVE", {"camera": {"position": [2**63, 1e308, 1]}}),
    "a scene that is text": packed("SET", data="scene"),
    "nodes that are text": packed("UPSERT", data={"nodes": "abc"}),
    "a node that is a number": packed("UPSERT", data={"nodes": [5, None, {"key": [1]}]}),
    "keys that are not text": packed("UPDATE", data={"nodes": [{"key": math.nan, "position": 1}]}),
    "a picture with a hostile name": upsert({"tag": "Img", "key": "../../../etc/x", "src": JPEG}),
    "a picture without a name": packed("", JPEG),
    "a control character": upsert({"tag": "Img", "key": "\x1b[2J\0\n", "src": JPEG}),
    "an etype of slashes": packed("//..//", {"frame": JPEG}),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("direction", ["sent", "received"])
def test_what_a_peer_made_up_ends_nothing_and_leaves_no_folder(path, tmp_path, what, direction):
    seen = [(0.0, "sent", HANDS), (0.1, direction, HOSTILE[what]), (0.2, "sent", HANDS)]
    recorded(path, seen, foxglove=True)
    assert [e.payload for e in open_recording(path)] == [payload for _, _, payload in seen]
    derived = derived_in(path)
    assert len(derived["/tf/left-hand"]) >= 50
    for topic, lines in derived.items():
        if topic.startswith("/json/"):
            for _, line in lines:
                jsonschema.validate(line, EVENT_SCHEMA)
    before = set(tmp_path.rglob("*"))
    to_folder(open_recording(path), tmp_path / "out")
    new = set(tmp_path.rglob("*")) - before
    assert all(each.is_relative_to(tmp_path / "out") for each in new)
    listed = tmp_path / "out" / "images.csv"
    if listed.exists():
        for row in read_csv(listed):
            assert (tmp_path / "out" / row["file"]).read_bytes() == JPEG
            assert row["file"].isprintable()
            assert row["file"].startswith("images/")


def test_a_fault_of_ours_costs_no_message(path, monkeypatch):
    def broken(self, entry):
        raise ZeroDivisionError

    monkeypatch.setattr(Translator, "messages", broken)
    file = new_file(path, foxglove=True)
    put_all(file, SEEN)
    file.finish()
    assert file.error is None
    assert isinstance(file.fault, ZeroDivisionError)
    assert file.remarks == [f"{len(SEEN)} malformed values could not be translated"]
    assert len(list(open_recording(path))) == len(SEEN)


def test_a_peer_that_makes_up_keys_gets_no_channel_for_each(path):
    seen = [
        (n / 1000, "sent", packed("CAMERA_MOVE", {"matrix": IDENTITY}, key=f"k{n}"))
        for n in range(1200)
    ]
    recorded(path, seen, foxglove=True)
    derived = derived_in(path)
    assert len(derived) <= 1003
    assert sum(len(found) for topic, found in derived.items() if topic[:4] == "/tf/") >= 1200
    assert derived["/tf/*"]


def test_derived_messages_of_a_damaged_file_are_no_entries(path):
    """Their channels are told in the first chunk alone, until the file is finished."""
    file = new_file(path, foxglove=True)
    for _ in range(2):
        put_all(file, SEEN)
        file.write()
    first, _ = outline(path).chunks
    whole = bytearray(path.read_bytes())
    whole[first.offset + first.size // 2] ^= 0xFF
    damaged = path.with_name("damaged.mcap")
    damaged.write_bytes(whole)
    with pytest.warns(DamagedRecording) as told:
        entries = list(open_recording(damaged))
    assert [str(warning.message).count("the chunk at byte") for warning in told] == [0, 1]
    assert [e.payload for e in entries] == [payload for _, _, payload in SEEN]
    file.finish()


# ---- a folder


def test_a_folder_of_tables_and_pictures(recording, tmp_path):
    folder = tmp_path / "out"
    assert to_folder(recording, folder) == {
        "camera-my-camera": 1,
        "head": 1,
        "images": 3,
        "left-controller": 1,
        "left-hand": 25,
        "nodes": 2,
        "right-hand": 25,
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    rows = read_csv(folder / "left-hand.csv")
    assert list(rows[0]) == list(POSE_COLUMNS)
    assert rows[0] == {
        "time": "1700000000.2",
        "time_ns": "1700000000200000000",
        "published_ns": "1700000000000000000",
        "frame": "left-hand/wrist",
        "parent": "vuer",
        **{"x": "-0.2", "y": "1.2", "z": "-0.4"},
        **{"qx": "0.0", "qy": "0.0", "qz": "0.0", "qw": "1.0"},
        "kind": "rigid",
    }
    nodes = read_csv(folder / "nodes.csv")
    assert [[float(row[c]) for c in "xyz"] for row in nodes] == [[1, 2, 3], [4, 5, 6]]
    images = read_csv(folder / "images.csv")
    assert list(images[0]) == list(IMAGE_COLUMNS)
    assert [(row["owner"], row["name"], row["format"]) for row in images] == [
        ("view/1", "rgb", "jpeg"),
        ("view/1", "rgb", "png"),
        ("view/1", "depth", "webp"),
    ]
    assert [(folder / row["file"]).read_bytes() for row in images] == [JPEG, PNG, WEBP]
    assert images[0]["file"] == "images/view-1-rgb/000001.jpg"
    about = json.loads((folder / "recording.json").read_text())
    assert about["rows"]["left-hand"] == 25
    assert about["complete"] is True
    assert about["kinds"] == {"rigid": 55}


def test_parquet_has_what_csv_has(recording, tmp_path):
    to_folder(recording, tmp_path / "csv")
    rows = to_folder(recording, tmp_path / "parquet", parquet=True)
    for name in rows:
        table = pyarrow.parquet.read_table(tmp_path / "parquet" / f"{name}.parquet").to_pylist()
        plain = [
            {key: "" if value is None else str(value) for key, value in row.items()}
            for row in table
        ]
        assert plain == read_csv(tmp_path / "csv" / f"{name}.csv")


@pytest.mark.parametrize("parquet", [False, True])
def test_what_has_no_pose_is_a_row_without_numbers(path, tmp_path, parquet):
    hands = hand_move().value
    hands["left"] = [0.0] * 16 + hands["left"][16:]
    recorded(path, [(0.0, "sent", packed("HAND_MOVE", hands))])
    to_folder(open_recording(path), tmp_path / "out", parquet=parquet)
    if parquet:
        first = pyarrow.parquet.read_table(tmp_path / "out" / "left-hand.parquet").to_pylist()[0]
        assert (first["x"], first["qw"], first["kind"]) == (None, None, "none")
    else:
        first = read_csv(tmp_path / "out" / "left-hand.csv")[0]
        assert (first["x"], first["qw"], first["kind"]) == ("", "", "none")


def test_many_rows_of_parquet(path, tmp_path, monkeypatch):
    monkeypatch.setattr("vuer_trio.record.tables._ROWS", 1000)
    recorded(path, [(n / 100, "sent", HANDS) for n in range(420)])
    to_folder(open_recording(path), tmp_path / "out", parquet=True)
    table = pyarrow.parquet.read_table(tmp_path / "out" / "left-hand.parquet")
    assert table.num_rows == 420 * 25


def test_names_that_only_differ_for_people(path, tmp_path):
    keys = ["a b", "a-b", "A/B", "a?b", "..", "", "nodes", "x" * 200, "x" * 201]
    seen = [
        (n / 10, "sent", packed("CAMERA_MOVE", {"matrix": IDENTITY}, key=key))
        for n, key in enumerate(keys)
    ]
    seen += [(n / 10, "received", upsert({"key": key, "src": JPEG})) for n, key in enumerate(keys)]
    recorded(path, seen)
    rows = to_folder(open_recording(path), tmp_path / "out")
    assert len({name.casefold() for name in rows}) == len(rows)
    assert sum(rows.values()) == 2 * len(keys)
    assert len({row["file"] for row in read_csv(tmp_path / "out" / "images.csv")}) == len(keys)


@pytest.mark.parametrize("parquet", [False, True])
def test_a_client_that_makes_up_cameras_opens_no_file_for_each(path, tmp_path, parquet):
    move = {"matrix": IDENTITY}
    keys = [*map(str, range(150)), "0", "149"]
    recorded(
        path,
        [(n / 10, "sent", packed("CAMERA_MOVE", move, key=key)) for n, key in enumerate(keys)],
    )
    rows = to_folder(open_recording(path), tmp_path / "out", parquet=parquet)
    assert len(rows) == 101
    assert rows["camera-0"] == 2
    assert rows["others"] == 51
    if not parquet:
        frames = [row["frame"] for row in read_csv(tmp_path / "out" / "others.csv")]
        assert frames == [f"camera/{n}" for n in [*range(100, 150), 149]]


def test_names_cost_no_more_the_more_there_are():
    class Counted(set):
        asked = 0

        def __contains__(self, name):
            self.asked += 1
            return super().__contains__(name)

    names = _Names()
    names._taken = taken = Counted()
    assert len({names.of(chr(0x4E00 + n)).casefold() for n in range(1000)}) == 1000
    assert taken.asked < 3000


def test_names_that_windows_takes_for_devices(path, tmp_path):
    keys = ["aux./b", "CON", "nul.x", "com1", "lpt9.txt", "prn", "console", "_con"]
    names = _Names()
    given = [names.of(key) for key in keys]
    assert given[:5] == ["_aux.-b", "_CON", "_nul.x", "_com1", "_lpt9.txt"]
    assert given[5:] == ["_prn", "console", "_con-2"]
    recorded(path, [(n, "received", upsert({"key": k, "src": JPEG})) for n, k in enumerate(keys)])
    to_folder(open_recording(path), tmp_path / "out")
    assert all((tmp_path / "out" / row["file"]).exists() for row in images_in(tmp_path / "out"))


def images_in(folder):
    return read_csv(folder / "images.csv")


# ---- endings


class Enough(Exception):
    pass


WAYS = {
    "foxglove": to_foxglove,
    "csv": to_folder,
    "parquet": lambda recording, path, **more: to_folder(recording, path, parquet=True, **more),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_ends_early_leaves_nothing(recording, tmp_path, way):
    def progress(entry):
        if entry.etype == "CONTROLLER_MOVE":
            raise Enough

    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Enough):
        WAYS[way](recording, tmp_path / "out", progress=progress)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_overwritten(recording, tmp_path, way):
    target = tmp_path / "out"
    target.mkdir()
    (target / "precious").write_text("mine")
    with pytest.raises(FileExistsError):
        WAYS[way](recording, target)
    assert (target / "precious").read_text() == "mine"


def test_a_full_disk_is_raised_and_leaves_nothing(recording, tmp_path, monkeypatch):
    create = RecordingFile.create

    def full(self):
        create(self)
        fill_the_disk(self)

    monkeypatch.setattr(RecordingFile, "create", full)
    with pytest.raises(OSError, match="No space left on device"):
        to_foxglove(recording, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_on_a_full_disk_leaves_nothing(recording, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device"):
        to_folder(recording, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_to_install_is_said(recording, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'vuer-trio\[parquet\]'"):
        to_folder(recording, tmp_path / "out", parquet=True)
    monkeypatch.setitem(sys.modules, "foxglove_schemas_protobuf", None)
    for make in (
        lambda: to_foxglove(recording, tmp_path / "out"),
        lambda: new_file(tmp_path / "out", foxglove=True),
    ):
        with pytest.raises(ImportError, match=r"pip install 'vuer-trio\[foxglove\]'"):
            make()
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'vuer-trio\[numpy\]'"):
        to_folder(recording, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---- a summary


def test_a_summary(path):
    seen = [(n / 10, "received", packed("TICK", n)) for n in range(11)]
    seen += [(n / 10, "received", packed("TICK", n)) for n in range(31, 41)]
    file = new_file(path, foxglove=True)
    put_all(file, [*seen, (4.5, "sent", packed("SAY", "x" * 500))])
    file.miss(5.0, "sent", 3)
    file.miss(5.5, "received", 4)
    file.finish()
    summary = summarize(path)
    assert (summary.count, summary.file_size) == (22, path.stat().st_size)
    assert summary.recording.duration == 4.5
    tick, say, *derived = summary.topics
    assert (tick.topic, tick.kind, tick.count) == ("/received/TICK", "received", 21)
    assert tick.rate == pytest.approx(20 / 4.0)
    assert tick.longest_gap == pytest.approx(2.1)
    assert tick.longest_gap_at - EPOCH / 1e9 == pytest.approx(1.0)
    assert (say.topic, say.count, say.rate) == ("/sent/SAY", 1, None)
    assert say.size == say.largest == len(packed("SAY", "x" * 500))
    assert summary.size == tick.size + say.size
    assert [(topic.topic, topic.kind, topic.count) for topic in derived] == [
        ("/json/received/TICK", "derived", 21),
        ("/json/sent/SAY", "derived", 1),
    ]
    (gap,) = summary.gaps
    assert (gap.start - EPOCH, gap.end - EPOCH) == (5 * 10**9, 55 * 10**8)
    assert (gap.received, gap.sent) == (4, 3)
    assert summary.damages == []


def test_the_summary_of_an_unfinished_file(path):
    recorded(path, SEEN)
    path.write_bytes(path.read_bytes()[:-40])
    summary = summarize(path)
    assert summary.count == len(SEEN)
    (damage,) = summary.damages
    assert damage.startswith("it was not finished")


def test_the_summary_of_what_is_no_recording(path):
    path.write_bytes(b"hello")
    with pytest.raises(NotARecording):
        summarize(path)


# ---- parts of a recording


def test_the_entries_between_two_times(path):
    file = new_file(path)
    for n in range(10):
        put_all(file, [(float(n), "sent", packed("A", n))])
        file.write()  # a chunk each
    file.finish()
    recording = open_recording(path)

    def values(*span):
        return [e.event["value"] for e in recording.between(*span)]

    assert values() == [*range(10)]
    assert values(3, 5) == [3, 4, 5]
    assert values(3.1, 4.9) == [4]
    assert values(8.5) == [9]
    assert values(20) == []
    script = recording.script(start=2.5, end=4)
    assert isinstance(script, Script)
    assert [(delay, event.value) for delay, event in script] == [(0, 3), (1, 4)]
    for wrong, error in ((-1, ValueError), (math.nan, ValueError), ("1", TypeError)):
        with pytest.raises(error, match="start"):
            recording.between(wrong)
        with pytest.raises(error, match="end"):
            recording.script(end=wrong)
