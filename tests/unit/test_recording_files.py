"""The file of a recording: what lies in it, and what can be read of it whatever happened to it."""

from __future__ import annotations

import errno
import pickle
import warnings

import msgpack
import pytest

from tests.recording_files import (
    EPOCH,
    fill_the_disk,
    need_mcap,
    new_file,
    packed,
    put_all,
    recorded,
)
from vuer_trio import ProtocolError
from vuer_trio._websocket.frames import prepare
from vuer_trio._websocket.transport import Text
from vuer_trio.events import ClientEvent, ServerEvent
from vuer_trio.record import DamagedRecording, NotARecording, Recorder, open_recording

need_mcap()
McapError = pytest.importorskip("mcap.exceptions").McapError
make_reader = pytest.importorskip("mcap.reader").make_reader
Writer = pytest.importorskip("mcap.writer").Writer

THREE = [
    (0.0, "sent", packed("INIT", {"client": "python"})),
    (0.25, "received", msgpack.packb({"etype": "SET", "data": {"tag": "Scene"}, "ts": 1})),
    (1.5, "sent", packed("CAMERA_MOVE", [1.5, None], ts=1_700_000_001_400)),
]


def seen_in(recording):
    """The entries, as they were put in."""
    return [((e.log_time - EPOCH) / 1e9, e.direction, e.payload) for e in recording]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.mcap"


# ---- what lies in it


def test_what_was_seen_is_read_in_order_with_its_times(path):
    recording = open_recording(recorded(path, THREE))
    first, second, third = recording
    assert seen_in(recording) == THREE
    assert [e.etype for e in recording] == ["INIT", "SET", "CAMERA_MOVE"]
    assert [e.sender for e in recording] == ["client", "server", "client"]
    assert first.time == first.published == 1_700_000_000.0
    assert second.published == 0.001
    assert third.published == 1_700_000_001.4
    assert third.event["value"] == [1.5, None]
    assert isinstance(third.as_event(), ClientEvent)
    assert isinstance(second.as_event(), ServerEvent)
    assert repr(second) == "<Entry received SET, 31 bytes at 1700000000.250>"


def test_what_a_recording_tells_of_itself(path):
    recording = open_recording(recorded(path, THREE))
    assert recording.uri == "ws://robot.local:8012"
    assert recording.side == "client"
    assert recording.library == "vuer-trio 0"
    assert recording.complete
    assert recording.dropped == 0
    assert (recording.start, recording.end) == (1_700_000_000.0, 1_700_000_001.5)
    assert recording.duration == 1.5
    assert repr(recording) == f"<Recording {path}, 1.500 s of ws://robot.local:8012>"


def test_the_recording_of_a_session_knows_who_has_sent(path):
    recording = open_recording(recorded(path, THREE, side="server"))
    assert [e.sender for e in recording] == ["server", "client", "server"]


def test_other_programs_find_channels_of_msgpack(path):
    recorded(path, THREE)
    with path.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        found = [(c.topic, c.message_encoding, m.log_time) for _, c, m in reader.iter_messages()]
        metadata = {record.name: record.metadata for record in reader.iter_metadata()}
    assert found == [
        ("/sent/INIT", "msgpack", EPOCH),
        ("/received/SET", "msgpack", EPOCH + 250_000_000),
        ("/sent/CAMERA_MOVE", "msgpack", EPOCH + 1_500_000_000),
    ]
    assert metadata["vuer_trio"]["uri"] == "ws://robot.local:8012"
    assert metadata["vuer_trio.end"]["written"] == "3"


def test_an_empty_recording(path):
    recording = open_recording(recorded(path, []))
    assert list(recording) == []
    assert (recording.start, recording.end, recording.duration) == (0.0, 0.0, 0.0)


def test_the_replies_to_requests_share_a_channel(path):
    etypes = [f"GRAB_RENDER_RESPONSE@{n}" for n in range(20)]
    file = new_file(path)
    put_all(file, [(0.0, "received", packed(etype)) for etype in etypes])
    file.finish()
    assert file.counts == {"/received/GRAB_RENDER_RESPONSE": 20}
    assert [e.etype for e in open_recording(path)] == etypes


def test_a_peer_that_makes_up_types_gets_no_channel_for_each(path):
    etypes = [f"T{n}" for n in range(3000)]
    file = new_file(path)
    put_all(file, [(0.0, "received", packed(etype)) for etype in etypes])
    file.finish()
    assert file.error is None
    assert len(file.counts) == 1001
    assert [e.etype for e in open_recording(path)] == etypes


@pytest.mark.parametrize(
    "message",
    [b"", b"\xc1", b"\x81", msgpack.packb([1]), msgpack.packb({"a": 1}), Text(b'{"etype": "A"}')],
)
def test_what_is_no_event_is_recorded_too(path, message):
    (entry,) = open_recording(recorded(path, [(0.0, "received", message)]))
    assert entry.payload == message
    assert entry.etype == ""
    with pytest.raises(ProtocolError):
        entry.event


def test_a_message_that_is_torn_behind_its_type_is_known_by_its_type(path):
    message = packed("SET", 1) + b"\x01"
    (entry,) = open_recording(recorded(path, [(0.0, "received", message)]))
    assert entry.etype == "SET"
    with pytest.raises(ProtocolError, match="trailing"):
        entry.event


@pytest.mark.parametrize(
    ("ts", "published"),
    [
        (1_600_000_000_000, 1_600_000_000.0),
        (1_600_000_000.5, 1_600_000_000.5),
        (1_600_000_000_500.0, 1_600_000_000.5),
        *[(ts, EPOCH / 1e9) for ts in (None, -1, 2**63, -1.0, 1e300, float("nan"), "now", [])],
    ],
)
def test_the_publish_time_is_the_ts_if_it_is_one(path, ts, published):
    (entry,) = open_recording(recorded(path, [(0.0, "sent", packed("A", ts=ts))]))
    assert entry.published == published
    assert entry.time == EPOCH / 1e9


def test_a_prepared_message_is_recorded_without_its_frame(path):
    message = prepare(packed("SET", 1))
    (entry,) = open_recording(recorded(path, [(0.0, "sent", message)]))
    assert entry.event == {"etype": "SET", "value": 1}


def test_only_the_types_that_are_asked_for(path):
    seen = [(0.0, "sent", packed(etype)) for etype in ("A", "ON_CLICK", "B")]
    recorded(path, [*seen, (0.0, "received", b"\xc1")], etypes=["B", "CLICK"])
    assert [e.etype for e in open_recording(path)] == ["ON_CLICK", "B"]


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_each_compression_can_be_read(path, compression):
    recorded(path, THREE, compression=compression)
    assert seen_in(open_recording(path)) == THREE


def test_a_large_recording_has_many_chunks_and_keeps_the_order(path):
    seen = [(n / 1000, "received", packed("N", n)) for n in range(5000)]
    file = new_file(path, chunk_size=4096)
    for start in range(0, 5000, 1000):
        put_all(file, seen[start : start + 1000])
        file.write()
    file.finish()
    assert seen_in(open_recording(path)) == seen


def test_what_was_missed_is_in_the_file_where_it_was_missed(path):
    file = new_file(path)
    put_all(file, THREE[:1])
    file.miss(0.5, "received", 3)
    file.miss(0.75, "sent", 1)
    put_all(file, THREE[2:])
    file.miss(2.0, "sent", 2)  # up to the end
    file.finish()
    assert file.dropped == 6
    recording = open_recording(path)
    assert recording.dropped == 6
    assert seen_in(recording) == [THREE[0], THREE[2]]
    with path.open("rb") as stream:
        gaps = [m.metadata for m in make_reader(stream).iter_metadata() if "gap" in m.name]
    assert gaps[0] == {
        "from": str(EPOCH + 500_000_000),
        "until": str(EPOCH + 750_000_000),
        "received": "3",
        "sent": "1",
    }
    assert (gaps[1]["received"], gaps[1]["sent"]) == ("0", "2")


# ---- making one


def test_messages_without_content_take_room_as_well(path):
    file = new_file(path)
    file.put(0, "received", [b""] * 1000)
    assert file.waiting >= 50_000
    file.write()
    assert file.waiting == 0
    file.finish()
    assert file.written == 1000


@pytest.mark.trio
async def test_a_peer_that_sends_empty_messages_does_not_fill_the_memory(path):
    class Source:
        peer = "somebody"

        def observe(self, see):
            self.see = see
            return lambda: None

    source = Source()
    async with Recorder(path, source, max_bytes=50_000) as recorder:
        for _ in range(3):  # without an await between them: the disk has no time
            source.see("received", (b"",) * 1000)
        assert recorder.dropped == 2000
    assert recorder.written == 1000


def test_a_file_that_is_there_is_not_overwritten_by_accident(path):
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        new_file(path)
    assert path.read_bytes() == b"precious"
    assert seen_in(open_recording(recorded(path, THREE, overwrite=True))) == THREE


def test_a_folder_that_is_not_there(path):
    with pytest.raises(FileNotFoundError):
        new_file(path / "run.mcap")


def test_a_full_disk_is_an_error_that_names_the_file_and_loses_nothing_in_silence(tmp_path):
    path = tmp_path / "full.mcap"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device") as caught:
        new_file(path, overwrite=True)
    assert caught.value.errno == errno.ENOSPC


def test_a_disk_that_fails_later_on(path):
    file = new_file(path)
    put_all(file, THREE[:2])
    file.write()
    fill_the_disk(file)
    put_all(file, THREE[2:])
    file.write()
    assert isinstance(file.error, OSError)
    assert file.error.errno == errno.ENOSPC
    assert file.error.filename == str(path)
    put_all(file, THREE)  # by a loop that does not know it yet
    file.miss(0.0, "sent", 1)
    file.finish()
    assert file.finished
    assert file.dropped >= 4
    assert file.waiting > 0
    with pytest.warns(DamagedRecording, match="was not finished"):
        assert seen_in(open_recording(path)) == THREE[:2]


def test_finishing_twice_is_harmless_and_writing_later_too(path):
    file = new_file(path)
    put_all(file, THREE)
    file.finish()
    whole = path.read_bytes()
    file.finish()
    file.write()
    assert path.read_bytes() == whole
    assert file.error is None


# ---- what is left of it


def chunked(path):
    """A recording of three chunks, and what was seen in each."""
    file = new_file(path)
    for one in THREE:
        put_all(file, [one])
        file.write()
    file.finish()
    with path.open("rb") as stream:
        summary = make_reader(stream).get_summary()
    return [(c.chunk_start_offset, c.chunk_length) for c in summary.chunk_indexes]


def test_a_file_cut_at_any_byte_gives_all_whole_chunks_and_says_what_is_lost(path, tmp_path):
    ends = [start + length for start, length in chunked(path)]
    whole = path.read_bytes()
    cut = tmp_path / "cut.mcap"
    for size in range(len(whole)):
        cut.write_bytes(whole[:size])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                recording = open_recording(cut)
            except NotARecording:
                assert size < ends[0]  # not even its own metadata are there
                continue
            kept = seen_in(recording)
        assert kept == THREE[: sum(size >= end for end in ends)]
        assert not recording.complete
        (warning,) = caught
        assert warning.category is DamagedRecording
        assert "was not finished" in str(warning.message)


def test_the_warning_tells_when_the_rest_ends(path):
    second = chunked(path)[1]
    path.write_bytes(path.read_bytes()[: second[0] + 30])
    with pytest.warns(DamagedRecording) as caught:
        recording = open_recording(path)
    assert str(caught[0].message) == (
        f"{path}: it was not finished, its recorder is still running or was killed: it ends at "
        "2023-11-14 22:13:20.000 UTC, after 1 chunks; later messages are lost; the last 30 bytes "
        "cannot be read"
    )
    assert caught[0].filename == __file__
    assert repr(recording).endswith(", not finished>")


def test_zeros_where_a_disk_lost_its_data(path):
    second = chunked(path)[1]
    whole = path.read_bytes()
    path.write_bytes(whole[: second[0]] + bytes(len(whole) - second[0]))
    with pytest.warns(DamagedRecording, match="cannot be read"):
        recording = open_recording(path)
    assert seen_in(recording) == THREE[:1]


def test_a_damaged_chunk_is_left_out_with_a_warning_and_the_others_are_read(path):
    start, length = chunked(path)[0]
    whole = bytearray(path.read_bytes())
    whole[start + length - 5] ^= 0xFF
    path.write_bytes(whole)
    recording = open_recording(path)
    with pytest.warns(DamagedRecording, match=r"from 2023-11-14 22:13:20.000 UTC to .* are lost"):
        assert seen_in(recording) == THREE[1:]


def test_no_flipped_byte_does_more_than_warn(path):
    chunked(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        path.write_bytes(flipped)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedRecording)
            try:
                recording = open_recording(path)
            except NotARecording:
                continue
            for entry in recording:
                assert entry.payload in [payload for _, _, payload in THREE]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"\x89MCAP0\r", b"{}" * 100])
def test_what_is_no_recording_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(NotARecording, match="not a recording") as caught:
        open_recording(path)
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_mcap_file_of_another_program_is_refused(path):
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2")
        writer.finish()
    with pytest.raises(NotARecording, match="profile 'ros2'"):
        open_recording(path)


def test_a_recording_of_a_later_format_is_refused(path):
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="vuer-trio")
        writer.add_metadata("vuer_trio", {"format": "3"})
        writer.finish()
    with pytest.raises(NotARecording, match="has the format '3'"):
        open_recording(path)


def test_a_file_that_is_not_there(path):
    with pytest.raises(FileNotFoundError):
        open_recording(path)


def test_the_package_says_what_to_install_when_mcap_is_missing(path, monkeypatch):
    recorded(path, THREE)
    monkeypatch.setitem(__import__("sys").modules, "mcap", None)
    with pytest.raises(ImportError, match="recordings need mcap"):
        open_recording(path)
    with pytest.raises(ImportError, match="recordings need mcap"):
        new_file(path, overwrite=True)
    assert issubclass(McapError, Exception)
