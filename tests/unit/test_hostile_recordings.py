"""Recordings that somebody has made up: one documented error or warning, and no more memory."""

from __future__ import annotations

import json
import random
import shutil
import struct
import tracemalloc
import warnings
import zlib

import pytest

from tests.recording_files import need_mcap, new_file, packed, put_all, recorded
from tests.repetitions import times
from vuer_trio.record import (
    DamagedRecording,
    NotARecording,
    open_recording,
    summarize,
    to_folder,
    to_foxglove,
)
from vuer_trio.record.export import json_lines

need_mcap()
lz4 = pytest.importorskip("lz4.frame")
zstandard = pytest.importorskip("zstandard")

METADATA, CHANNEL, MESSAGE, CHUNK = 12, 4, 5, 6
MIB = 1 << 20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.mcap"


def record(kind, body):
    return struct.pack("<BQ", kind, len(body)) + body


def records(whole):
    """Kinds and bodies of a file's."""
    offset, found = 8, []
    while offset + 9 <= len(whole) - 8:
        kind, size = struct.unpack_from("<BQ", whole, offset)
        found.append((kind, whole[offset + 9 : offset + 9 + size]))
        offset += 9 + size
    return found


def message(payload, number=1):
    return record(MESSAGE, struct.pack("<HIQQ", number, 0, 5, 5) + payload)


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data


def channel(number=1, *words):
    pairs = b"".join(map(text, words))
    return record(
        CHANNEL, struct.pack("<HH", number, 0) + text("/t") + text("msgpack") + text(pairs)
    )


def chunk(data, compression="", size=None, checksum=0):
    head = struct.pack("<QQQI", 5, 5, len(data) if size is None else size, checksum)
    return head + text(compression) + struct.pack("<Q", len(data)) + data


def with_chunk(path, body):
    """A recording of one good message, then of this chunk, then of another good one."""
    seen = [(0.0, "sent", packed("A"))], [(1.0, "sent", packed("B"))]
    file = new_file(path)
    for one in seen:
        put_all(file, one)
        file.write()
    file.finish()
    whole, chunks = path.read_bytes(), 0
    out = [whole[:8]]
    for kind, old in records(whole):
        chunks += kind == CHUNK
        if kind == CHUNK and chunks == 2:
            out.append(record(CHUNK, body))
        out.append(record(kind, old))
    path.write_bytes(b"".join(out) + whole[:8])
    return path


def zeros(size, *, knows_its_size=True):
    """A zstd frame of so many, made in pieces."""
    compressor = zstandard.ZstdCompressor(write_content_size=knows_its_size)
    piece = compressor.compressobj(size if knows_its_size else -1)
    parts = [piece.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*parts, piece.flush()])


GOOD = channel(1, "direction", "sent", "etype", "X") + message(packed("X"))
DAMAGED = {
    "a head that is cut off": GOOD + b"\5\1",
    "a message that is cut off": GOOD + message(b"abc")[:-2],
    "a message without a time": GOOD + record(MESSAGE, b"\1\0"),
    "a record of 16 EiB": GOOD + struct.pack("<BQ", MESSAGE, 2**64 - 1),
    "zeros": GOOD + bytes(100),
    "a channel without a topic": GOOD + record(CHANNEL, b"\2\0\0\0"),
    "an empty channel": GOOD + record(CHANNEL, b""),
    "a channel whose text is too long": GOOD + record(CHANNEL, bytes(4) + b"\xff\xff\xff\x7fabc"),
    "a channel of odd words": GOOD + channel(2, "direction"),
    "a topic that is no UTF-8": GOOD
    + record(CHANNEL, struct.pack("<HH", 2, 0) + text(b"\xff\xfe") + text("") + text(b"")),
    "words that are no UTF-8": GOOD + channel(2, "etype", b"\xff"),
}


@pytest.mark.parametrize("compression", ["", "zstd", "lz4"])
@pytest.mark.parametrize("what", DAMAGED)
def test_a_chunk_without_a_checksum_gives_what_is_before_the_damage(path, what, compression):
    data = DAMAGED[what]
    pack = {"": bytes, "zstd": zstandard.compress, "lz4": lz4.compress}[compression]
    with_chunk(path, chunk(pack(data), compression, len(data)))
    recording = open_recording(path)
    with pytest.warns(
        DamagedRecording, match=r"all but 1 messages .* are lost, the chunk at byte"
    ) as told:
        assert [entry.etype for entry in recording] == ["A", "X", "B"]
    assert len(told) == 1
    assert told[0].filename == __file__
    assert str(path) in str(told[0].message)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "a field declares 28 bytes, but only 0 are left"),
        (chunk(GOOD)[:40], "only . are left|cut off"),
        (chunk(GOOD, checksum=1), "its checksum does not match"),
        (chunk(GOOD, "gzip"), "its compression is unknown: 'gzip'"),
        (chunk(GOOD, b"\xff\xff"), "a text is not UTF-8"),
        (chunk(GOOD, size=7), r"it unpacks to \d+ bytes, but declares 7"),
        (chunk(GOOD, "zstd"), "zstd failed: "),
        (chunk(GOOD, "lz4"), "lz4 failed: "),
        (chunk(b"", "zstd", 0), "zstd failed: "),
        (chunk(b"", "lz4", 0), "its lz4 frame does not end"),
        (chunk(zstandard.compress(GOOD), "zstd", 7), "its frame declares"),
        (chunk(zstandard.compress(GOOD)[:-4], "zstd", len(GOOD)), "zstd failed: "),
        (chunk(lz4.compress(GOOD), "lz4", 7), "but declares|the declared"),
        (chunk(lz4.compress(GOOD), "lz4", 0), "but declares|the declared"),
        (chunk(lz4.compress(GOOD)[:-6], "lz4", len(GOOD)), "its lz4 frame does not end"),
        (chunk(GOOD, size=2**63), "it would unpack to .* max_chunk_size="),
    ],
)
def test_a_chunk_that_is_damaged_as_a_whole(path, body, why):
    recording = open_recording(with_chunk(path, body))
    with pytest.warns(DamagedRecording, match=why):
        assert [entry.etype for entry in recording] == ["A", "B"]


@pytest.mark.parametrize(
    "body",
    [
        chunk(zeros(256 * MIB), "zstd", 256 * MIB),
        chunk(zeros(256 * MIB), "zstd", MIB),
        chunk(zeros(256 * MIB), "zstd", 60 * MIB),
        chunk(zeros(256 * MIB, knows_its_size=False), "zstd", 256 * MIB),
        chunk(zeros(256 * MIB, knows_its_size=False), "zstd", MIB),
        chunk(lz4.compress(bytes(96 * MIB)), "lz4", 96 * MIB),
        chunk(lz4.compress(bytes(96 * MIB), store_size=False), "lz4", MIB),
        chunk(GOOD, "zstd", 2**64 - 1),
    ],
    ids=["told", "lies", "lies more", "open", "open and lies", "lz4", "lz4 lies", "all"],
)
def test_what_unpacks_to_too_much_is_not_unpacked(path, body):
    with_chunk(path, body)
    tracemalloc.start()
    try:
        with pytest.warns(DamagedRecording, match="are lost, the chunk at byte"):
            assert [entry.etype for entry in open_recording(path)] == ["A", "B"]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * MIB


def test_how_large_a_chunk_may_be_is_the_users_choice(path):
    payload = packed("A", bytes(80 * MIB))
    recorded(path, [(0.0, "sent", payload)])
    with pytest.warns(DamagedRecording, match=r"would unpack to 83,\d+,\d+ bytes"):
        assert list(open_recording(path)) == []
    (entry,) = open_recording(path, max_chunk_size=100 * MIB)
    assert entry.payload == payload
    with pytest.warns(DamagedRecording, match="bytes, but only 100 are allowed"):
        assert list(open_recording(path, max_chunk_size=100)) == []
    for error, wrong in ((ValueError, 0), (TypeError, "1"), (TypeError, True)):
        with pytest.raises(error, match="max_chunk_size"):
            open_recording(path, max_chunk_size=wrong)


def test_a_large_chunk_that_is_really_there_needs_no_choice(path):
    noise = random.Random(1).randbytes(MIB) * 70
    recorded(path, [(0.0, "sent", packed("A", noise))], compression="none")
    (entry,) = open_recording(path)
    assert entry.event["value"] == noise


# ---- made up by chance


def harmed(chance, data):
    data = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if not data:
            break
        way, place = chance.randrange(7), chance.randrange(len(data))
        if way == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif way == 1:
            data[place] = chance.choice((0, 127, 128, 255))
        elif way == 2:
            del data[place : place + chance.randint(1, 40)]
        elif way == 3:
            data[place:place] = chance.randbytes(chance.randint(1, 20))
        elif way == 4:
            sizes = (0, 1, 2**16, 2**31, 2**40, 2**63, 2**64 - 1, len(data))
            data[place : place + 8] = struct.pack("<Q", chance.choice(sizes))
        elif way == 5:
            data[place : place + 4] = struct.pack("<I", chance.choice((0, 2**16, 2**31 - 1)))
        else:
            del data[place:]
    return bytes(data)


def harmed_chunk(chance, body):
    """Damaged inside, under a checksum that is switched off as a rule, or right."""
    _, _, size, _, length = struct.unpack_from("<QQQII", body)
    data, way = body[40 + length :], body[32 : 32 + length]
    unpack = {b"": bytes, b"lz4": lz4.decompress, b"zstd": zstandard.decompress}[way]
    data = harmed(chance, unpack(data))
    size = len(data)
    if chance.random() < 0.3:
        size = chance.choice((0, 2**20, 2**28, 2**63, size + 1, max(0, size - 1)))
    checksum = 0 if chance.random() < 0.9 else zlib.crc32(data)
    way = chance.choice(("", "lz4", "zstd"))
    pack = {"": bytes, "lz4": lz4.compress, "zstd": zstandard.compress}[way]
    made = chunk(pack(data), way, size, checksum)
    return harmed(chance, made) if chance.random() < 0.2 else made


def hostile(chance, whole):
    if chance.random() < 0.3:
        return harmed(chance, whole)
    out = []
    for kind, body in records(whole):
        if kind == CHUNK and chance.random() < 0.6:
            body = harmed_chunk(chance, body)
        elif chance.random() < 0.1:
            body = harmed(chance, body)
        out.append(record(kind, body))
    made = whole[:8] + b"".join(out) + whole[:8]
    return harmed(chance, made) if chance.random() < 0.2 else made


@pytest.mark.no_cover
@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
@pytest.mark.parametrize("foxglove", [False, True])
def test_whatever_is_in_a_file_nothing_else_is_raised(path, tmp_path, compression, foxglove):
    chance = random.Random(compression)
    file = new_file(path, chunk_size=300, compression=compression, foxglove=foxglove)
    for n in range(20):
        etype, direction = chance.choice("ABC@"), chance.choice(("sent", "received"))
        put_all(file, [(n, direction, packed(etype, n, ts=n))])
    file.miss(20, "sent", 2)
    put_all(file, [(21, "sent", b"\xc1"), (22, "received", packed("Z", "z" * 500))])
    file.finish()
    whole, results = path.read_bytes(), set()
    for n in range(times(100, 300)):
        path.write_bytes(hostile(chance, whole) if n else whole)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                recording = open_recording(path)
            except NotARecording:
                results.add("refused")
                continue
            assert recording.dropped >= 0
            assert repr(recording)
            entries = list(recording)
            for line in json_lines(entries):
                json.loads(line)
            summary = summarize(path)
            assert summary.count >= len(entries)
            assert all(topic.count > 0 for topic in summary.topics)
            if chance.random() < 0.1:  # they take longer
                to_foxglove(recording, tmp_path / "again.mcap")
                assert [e.payload for e in open_recording(tmp_path / "again.mcap")] == [
                    e.payload for e in entries
                ]
                to_folder(recording, tmp_path / "out")
                (tmp_path / "again.mcap").unlink()
                shutil.rmtree(tmp_path / "out")
        assert {warning.category for warning in told} <= {DamagedRecording}
        results.add("warned" if told else "clean")
    assert results == {"refused", "warned", "clean"}
