"""Recordings that tests make without a connection, and so at any times."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgpack
import pytest

from vuer_trio.record.file import RecordingFile

__all__ = [
    "ABOUT",
    "EPOCH",
    "fill_the_disk",
    "need_mcap",
    "new_file",
    "packed",
    "put_all",
    "recorded",
]

#: nanoseconds: when the recordings of tests begin
EPOCH = 1_700_000_000 * 10**9
ABOUT = {
    "uri": "ws://robot.local:8012",
    "side": "client",
    "library": "vuer-trio 0",
    "started": "2023-11-14T22:13:20+00:00",
}

#: a time in seconds, a direction, and a message
Seen = tuple[float, Any, bytes]


def need_mcap() -> None:
    """Skip the test, or the module, where there are no recordings: pyproject.toml has no ``mcap``
    for that Python."""
    pytest.importorskip("mcap", reason="mcap is not installed: see its marker in pyproject.toml")


def packed(etype: str, value: Any = None, **more: Any) -> bytes:
    payload: bytes = msgpack.packb({"etype": etype, "value": value, **more})
    return payload


def new_file(path: Path, side: str = "client", **options: Any) -> RecordingFile:
    """One that begins at second 0 of a clock that stands for `EPOCH`."""
    need_mcap()
    given: dict[str, Any] = {
        "epoch": (0.0, EPOCH),
        "overwrite": False,
        "chunk_size": 1 << 20,
        "compression": "zstd",
        "etypes": None,
        **options,
    }
    file = RecordingFile(path, {**ABOUT, "side": side}, **given)
    file.create()
    return file


def put_all(file: RecordingFile, seen: Iterable[Seen]) -> None:
    for at, direction, message in seen:
        file.put(at, direction, (message,))


def recorded(path: Path, seen: Sequence[Seen], **options: Any) -> Path:
    """A finished recording of what was seen at those times."""
    file = new_file(path, **options)
    put_all(file, seen)
    file.finish()
    if file.error is not None:
        raise file.error
    return path


def fill_the_disk(file: RecordingFile) -> None:
    """From now on there is no room for what is written to it."""
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._stream.fileno())
    os.close(full)
