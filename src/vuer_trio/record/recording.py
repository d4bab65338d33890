"""Reading a recording."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from .._client.options import check_size
from .._formatting import must_be, shown_uri
from .chunk import DamagedChunk, limit_for, messages_of, unpack_chunk
from .entry import Entry, Side
from .errors import DamagedRecording, needed
from .layout import DERIVED, FORMAT_WITH_DERIVED
from .outline import Place, outline
from .script import Script

__all__ = ["Recording", "open_recording"]


class Recording:
    """``for entry in open_recording("run.mcap"):`` iterates over a recording, in log-time order.

    It can be iterated many times, reading the file each time; nothing is kept open in between. If
    the recorder was killed, the recording is read up to its last whole chunk, and a
    DamagedRecording warning says what is lost. A damaged chunk causes such a warning as well, and
    the others are read. ``max_chunk_size`` is the number of bytes to which a chunk may decompress;
    None allows 64 MiB, or four times its size in the file up to 512 MiB. A larger chunk counts as
    damaged.

    Raises OSError, NotARecording, and ImportError without the package ``mcap``; TypeError and
    ValueError for an invalid size. Nothing else is raised, whatever the file contains.
    """

    def __init__(self, path: str | PathLike[str], *, max_chunk_size: int | None = None) -> None:
        needed()
        if max_chunk_size is not None:
            check_size("max_chunk_size", max_chunk_size)
        self._max_chunk_size = max_chunk_size
        self.path: Path = Path(path)
        self._outline = found = outline(self.path)
        #: the URI that the recorded client was connected to, or for a session, its client
        self.uri: str = found.about.get("uri", "")
        #: the recording side: "client" or "server"
        self.side: Side = "server" if found.about.get("side") == "server" else "client"
        #: the library that wrote it, with its version
        self.library: str = found.about.get("library", "")
        #: whether the recorder finished the file
        self.complete: bool = found.complete
        #: messages that the recorder dropped, as far as is known
        self.dropped: int = found.dropped
        self._has_derived = found.about.get("format") == FORMAT_WITH_DERIVED
        #: times of the first and last message, in seconds since the epoch; both 0 without any
        self.start: float = found.chunks[0].start / 1e9 if found.chunks else 0.0
        self.end: float = found.chunks[-1].end / 1e9 if found.chunks else 0.0
        if not self.complete:
            self._warn(self._what_is_lost())

    @property
    def duration(self) -> float:
        """Seconds from the first message to the last."""
        return self.end - self.start

    def __repr__(self) -> str:
        state = "" if self.complete else ", not finished"
        return f"<Recording {self.path}, {self.duration:.3f} s of {shown_uri(self.uri)}{state}>"

    def __iter__(self) -> Iterator[Entry]:
        return self._entries(0, _LATEST)

    def _entries(self, first: int, last: int) -> Iterator[Entry]:
        """The entries of these log times. Chunks that have none of them are not read."""
        channels = dict(self._outline.channels)
        other: Side = "client" if self.side == "server" else "server"
        with open(self.path, "rb") as stream:
            for place in self._outline.chunks:
                if place.end < first or place.start > last:
                    continue
                for number, log_time, publish_time, payload in self._messages(
                    stream, place, channels
                ):
                    about = channels.get(number, _UNKNOWN)
                    if DERIVED in about or not first <= log_time <= last:
                        continue
                    sent = about.get("direction") == "sent"
                    entry = Entry(
                        log_time,
                        publish_time,
                        "sent" if sent else "received",
                        self.side if sent else other,
                        about.get("etype"),
                        payload,
                    )
                    if about is not _UNKNOWN or not self._has_derived or entry.etype:
                        yield entry

    def _messages(
        self, stream: BinaryIO, place: Place, channels: dict[int, dict[str, str]]
    ) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield the messages of a chunk; if it is damaged, those before the damage."""
        limit, count = limit_for(place.size, self._max_chunk_size), 0
        try:
            if place.size > limit:
                raise DamagedChunk(f"it has {place.size:,} bytes, but only {limit:,} are allowed")
            stream.seek(place.offset)
            for message in messages_of(unpack_chunk(stream.read(place.size), limit), channels):
                count += 1
                yield message
        except DamagedChunk as exc:
            lost = "messages" if not count else f"all but {count} messages"
            where = f"at byte {place.offset:,}"
            self._warn(f"{lost} {_span(place)} are lost, the chunk {where} is damaged: {exc}", 2)

    def between(self, start: float = 0.0, end: float = math.inf) -> Iterator[Entry]:
        """The entries from ``start`` to ``end``, in seconds since the first message.

        Both ends are included. Raises TypeError and ValueError for invalid times.
        """
        _check_range(start, end)
        return self._entries(*self._log_times(start, end))

    def _log_times(self, start: float, end: float) -> tuple[int, int]:
        """The first and last log time between these times, in seconds since the first message."""
        zero = self._outline.chunks[0].start if self._outline.chunks else 0
        first = zero + (round(start * 1e9) if start < _FOREVER else _LATEST)
        return first, zero + (round(end * 1e9) if end < _FOREVER else _LATEST)

    def script(
        self,
        sender: Side = "client",
        *,
        etypes: Collection[str] | None = None,
        init: bool = False,
        start: float = 0.0,
        end: float = math.inf,
    ) -> Script:
        """The events sent by the client or the server, as pairs of a delay in seconds and an event.

        It can be passed to `replay`. ``etypes`` selects event types, ``start`` and ``end`` times,
        in seconds since the first message of the recording. INIT is left out unless ``init`` is
        true, because every client sends its own.
        """
        _check_range(start, end)
        return Script(self, sender, etypes=etypes, init=init, times=self._log_times(start, end))

    def _what_is_lost(self) -> str:
        chunks = self._outline.chunks
        kept = f"it ends at {_shown(chunks[-1].end)}" if chunks else "it is empty"
        torn = self._outline.torn
        tail = f"; the last {torn:,} bytes cannot be read" if torn else ""
        return (
            f"it was not finished, its recorder is still running or was killed: {kept}, after "
            f"{len(chunks)} chunks; later messages are lost{tail}"
        )

    def _warn(self, what: str, callers: int = 1) -> None:
        """Warn, at the line of the user's code, which is ``callers`` calls above the caller."""
        warnings.warn(DamagedRecording(f"{self.path}: {what}"), stacklevel=callers + 2)


#: ``open_recording(path)``: a `Recording` needs no more than its constructor
open_recording = Recording

#: the metadata of a channel whose definition was in a damaged chunk
_UNKNOWN: dict[str, str] = {}
#: the last time that MCAP can hold
_LATEST = 2**64 - 1
#: more seconds than it can hold
_FOREVER = 2e10


def _check_range(start: object, end: object) -> None:
    for name, value in (("start", start), ("end", end)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(must_be(name, "a number of seconds", value))
        if not value >= 0:  # nor NaN
            raise ValueError(must_be(name, "at least 0 seconds", value))


def _span(place: Place) -> str:
    return f"from {_shown(place.start)} to {_shown(place.end)}"


def _shown(nanoseconds: int) -> str:
    try:
        at = datetime.fromtimestamp(nanoseconds // 1_000_000 / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # the times may be damaged, too
        return "an unknown time"
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
