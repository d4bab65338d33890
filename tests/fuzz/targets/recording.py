"""A recording that somebody has made up: the documented errors and warnings, and no others; and
what the ``mcap`` package reads of it, if that finds nothing wrong."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from mcap.records import Chunk, Message
from mcap.stream_reader import StreamReader, breakup_chunk

from tests.recording_files import new_file, packed, put_all
from vuer_trio.record import DamagedRecording, NotARecording, open_recording
from vuer_trio.record.export import json_lines

MAX_LEN = 2000
#: bytes that a chunk may unpack to
_LIMIT = 1 << 20

logging.getLogger("vuer_trio").addHandler(logging.NullHandler())  # what is skipped is logged


@cache
def folder() -> tempfile.TemporaryDirectory[str]:
    """In memory where there is such a place."""
    shared = "/dev/shm"
    return tempfile.TemporaryDirectory(dir=shared if os.path.isdir(shared) else None)


def path() -> Path:
    return Path(folder().name, f"{os.getpid()}.mcap")


def seeds() -> Iterator[bytes]:
    seen = [
        (0.0, "sent", packed("A", [1.5])),
        (1.0, "received", packed("B", {"x": b"y"}, ts=1.0)),
        (2.0, "received", b"\xc1"),
        (3.0, "sent", packed("ASK", uuid="1", rtype="R@1")),
    ]
    for compression in ("none", "lz4", "zstd"):
        for chunks in (1, 2):
            where = path()
            where.unlink(missing_ok=True)
            file = new_file(where, compression=compression)
            for part in (seen[:2], seen[2:]) if chunks == 2 else (seen,):
                put_all(file, part)
                file.write()
                file.miss(2.5, "received", 3)
            yield where.read_bytes()  # as of a recorder that was killed
            file.finish()
            yield where.read_bytes()
    yield b"\x89MCAP0\r\n" + bytes(30)


def one_input(data: bytes) -> None:
    path().write_bytes(data)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            recording = open_recording(path(), max_chunk_size=_LIMIT)
        except NotARecording as exc:
            assert str(path()) in str(exc)
            return
        found = list(recording)
        for sender in ("client", "server"):
            for delay, event in recording.script(sender, init=True):  # type: ignore[arg-type]
                assert delay >= 0
                event.to_wire()
    assert {warning.category for warning in told} <= {DamagedRecording}
    repr(recording), recording.duration
    for entry in found:
        repr(entry), entry.etype, entry.time, entry.published
    for line in json_lines(found):
        json.loads(line)
    if not told:
        known = alone(data)
        if known is not None:
            messages = [(e.log_time, e.publish_time, e.payload) for e in found]
            assert messages == known, (messages, known)


def alone(data: bytes) -> list[Any] | None:
    """The messages of its chunks; None if the package finds a fault."""
    try:
        messages = []
        for record in StreamReader(
            BytesIO(data), emit_chunks=True, record_size_limit=_LIMIT
        ).records:
            if isinstance(record, Chunk):
                if record.uncompressed_size > _LIMIT:
                    return None
                for inner in breakup_chunk(record, validate_crc=True):
                    if isinstance(inner, Message):
                        messages.append((inner.log_time, inner.publish_time, bytes(inner.data)))
    except Exception:
        return None
    return messages
