"""Converting a recording for other tools."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

from .entry import Entry
from .file import RecordingFile
from .outline import Gap
from .recording import Recording

__all__ = ["Progress", "to_foxglove"]

#: called with each entry; what it raises ends the work
Progress = Callable[[Entry], object]

#: bytes in memory
_CHUNK = 1 << 20


def to_foxglove(
    recording: Recording, path: str | PathLike[str], *, progress: Progress | None = None
) -> list[str]:
    """Write a recording to a new file, as ``Recorder(..., foxglove=True)`` would have written it.

    All messages keep their times. Only the owner of the file can read it. ``progress`` is called
    with each entry. Returns sentences about what the transforms cannot express of the recorded
    poses.

    Raises FileExistsError, other OSErrors, ImportError without the extra ``foxglove``, and what
    ``progress`` raises; in each case, the file is removed. Damaged parts of the recording are
    skipped, with the same DamagedRecording warnings as when reading it.
    """
    outline = recording._outline
    first = outline.chunks[0].start if outline.chunks else 0
    file = RecordingFile(
        Path(path),
        {"library": "vuer-trio", **outline.about},
        epoch=(0.0, first),
        overwrite=False,
        chunk_size=_CHUNK,
        compression="zstd",
        etypes=None,
        foxglove=True,
    )
    file.create()
    gaps = sorted(outline.gaps, key=lambda gap: gap.start, reverse=True)
    try:
        for entry in recording:
            while gaps and gaps[-1].start <= entry.log_time:
                _note(file, gaps.pop(), first)
            at = (entry.log_time - first) / 1e9
            file.put(at, entry.direction, (entry.payload,))
            if file.waiting >= _CHUNK:
                file.write()
            if file.error is not None:
                break
            if progress is not None:
                progress(entry)
        for gap in reversed(gaps):
            _note(file, gap, first)
        file.finish()
        if file.error is not None:
            raise file.error
    except BaseException:
        file.finish()
        Path(path).unlink(missing_ok=True)
        raise
    return file.remarks


def _note(file: RecordingFile, gap: Gap, first: int) -> None:
    start, end = (gap.start - first) / 1e9, (gap.end - first) / 1e9
    file.note_gap(start, end, gap.received, gap.sent)
