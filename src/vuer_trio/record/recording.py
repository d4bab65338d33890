"""Reading a recording."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from .._client.options import check_size
from .._formatting import shown_uri
from .chunk import DamagedChunk, limit_for, messages_of, unpack_chunk
from .entry import Entry, Side
from .errors import DamagedRecording, needed
from .outline import Place, outline
from .script import Script

__all__ = ["Recording", "open_recording"]


class Recording:
    """``for entry in open_recording("run.mcap"):`` iterates a recording, in log-time order.

    It can be iterated many times, each time from the file; nothing is held open in between. A
    recording whose recorder was killed is read up to its last whole chunk, and a DamagedRecording
    warning says what is lost. A damaged chunk gives such a warning too, and the others are read.
    ``max_chunk_size`` is how many bytes a chunk may unpack to; None allows 64 MiB, or four times
    its size in the file up to 512 MiB. A larger one counts as damaged.

    Raises OSError, NotARecording, and ImportError without the package ``mcap``; TypeError and
    ValueError for an invalid size. Whatever is in a file, nothing else is raised.
    """

    def __init__(self, path: str | PathLike[str], *, max_chunk_size: int | None = None) -> None:
        needed()
        if max_chunk_size is not None:
            check_size("max_chunk_size", max_chunk_size)
        self._max_chunk_size = max_chunk_size
        self.path: Path = Path(path)
        self._outline = found = outline(self.path)
        #: where the recorded client was connected to, or for a session who the client was
        self.uri: str = found.about.get("uri", "")
        #: whose connection it was: the "client"'s or the "server"'s
        self.side: Side = "server" if found.about.get("side") == "server" else "client"
        #: what has written it, with its version
        self.library: str = found.about.get("library", "")
        #: whether the recorder has finished the file
        self.complete: bool = found.complete
        #: messages that the recorder had no room for, as far as is known
        self.dropped: int = found.dropped
        #: seconds since the epoch, of the first and the last message; both 0 if there is none
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
        channels = dict(self._outline.channels)
        other: Side = "client" if self.side == "server" else "server"
        with open(self.path, "rb") as stream:
            for place in self._outline.chunks:
                messages = self._messages(stream, place, channels)
                for number, log_time, publish_time, payload in messages:
                    about = channels.get(number, _UNKNOWN)
                    sent = about.get("direction") == "sent"
                    yield Entry(
                        log_time,
                        publish_time,
                        "sent" if sent else "received",
                        self.side if sent else other,
                        about.get("etype"),
                        payload,
                    )

    def _messages(
        self, stream: BinaryIO, place: Place, channels: dict[int, dict[str, str]]
    ) -> Iterator[tuple[int, int, int, bytes]]:
        """Of one chunk. If it is damaged, those before the damage."""
        limit, count = limit_for(place.size, self._max_chunk_size), 0
        try:
            if place.size > limit:
                raise DamagedChunk(f"it has {place.size:,} bytes, but only {limit:,} are allowed")
            stream.seek(place.offset)
            for message in messages_of(unpack_chunk(stream.read(place.size), limit), channels):
                count += 1
                yield message
        except DamagedChunk as exc:
            lost = "is lost" if not count else f"is lost but for {count} messages"
            where = f"at byte {place.offset:,}"
            self._warn(f"{_span(place)} {lost}, its chunk {where} is damaged: {exc}", 2)

    def script(
        self,
        sender: Side = "client",
        *,
        etypes: Collection[str] | None = None,
        init: bool = False,
    ) -> Script:
        """What the client, or the server, has sent: pairs of a delay and an event.

        `replay` plays it. ``etypes`` are the only types in it. INIT is left out unless ``init``:
        whoever connects sends one of its own.
        """
        return Script(self, sender, etypes=etypes, init=init)

    def _what_is_lost(self) -> str:
        chunks = self._outline.chunks
        kept = f"what it holds ends at {_shown(chunks[-1].end)}" if chunks else "it holds nothing"
        torn = self._outline.torn
        tail = f"; of what came next, {torn:,} bytes are there and cannot be read" if torn else ""
        return (
            f"it was not finished, its recorder is still running or was killed: {kept}, "
            f"{len(chunks)} chunks; what was seen later is lost{tail}"
        )

    def _warn(self, what: str, callers: int = 1) -> None:
        """Of what the user's code is about, which is so many calls up from here."""
        warnings.warn(DamagedRecording(f"{self.path}: {what}"), stacklevel=callers + 2)


#: ``open_recording(path)``: opening is all that a recording needs
open_recording = Recording

#: the metadata of a channel that was defined in a chunk that is damaged
_UNKNOWN: dict[str, str] = {}


def _span(place: Place) -> str:
    return f"what was seen from {_shown(place.start)} to {_shown(place.end)}"


def _shown(nanoseconds: int) -> str:
    try:
        at = datetime.fromtimestamp(nanoseconds // 1_000_000 / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # the head of a chunk may be damaged, too
        return "an unknown time"
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
