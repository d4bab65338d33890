"""Reading a recording."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from .._shown import shown_uri
from .chunk import messages_of, unpack_chunk
from .entry import Entry, Side
from .errors import DamagedRecording, needed
from .outline import Place, outline
from .script import Script

__all__ = ["Recording", "open_recording"]


class Recording:
    """``for entry in open_recording("run.mcap"):`` goes through a recording, in log-time order.

    It can be gone through many times, each time from the file; nothing is held open in between.
    A recording whose recorder was killed is read up to its last whole chunk, and a DamagedRecording
    warning says what is lost. So does one for a chunk that is damaged, where the others are read.

    Raises OSError, NotARecording, and ImportError without the package ``mcap``.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        needed()
        self.path = Path(path)
        self._outline = found = outline(self.path)
        #: where the recorded client was connected to, or for a session who the client was
        self.uri = found.about.get("uri", "")
        #: whose connection it was: the "client"'s or the "server"'s
        self.side: Side = "server" if found.about.get("side") == "server" else "client"
        #: what has written it, with its version
        self.library = found.about.get("library", "")
        #: whether the recorder has finished the file
        self.complete = found.complete
        #: messages that the recorder had no room for, as far as is known
        self.dropped = sum(_count(gap, "received") + _count(gap, "sent") for gap in found.gaps)
        #: seconds since the epoch, of the first and the last message; both 0 if there is none
        self.start = found.chunks[0].start / 1e9 if found.chunks else 0.0
        self.end = found.chunks[-1].end / 1e9 if found.chunks else 0.0
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
                stream.seek(place.offset)
                try:
                    data = unpack_chunk(stream.read(place.size))
                except Exception as exc:  # of the decompressor's, of the package's, of struct
                    self._warn(f"{_span(place)} is lost, its chunk is damaged: {exc}")
                    continue
                for number, log_time, publish_time, payload in messages_of(data, channels):
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
        tail = f"; of what came next, {torn:,} bytes are there and can not be read" if torn else ""
        return (
            f"it was not finished, its recorder is still running or was killed: {kept}, "
            f"{len(chunks)} chunks; what was seen later is lost{tail}"
        )

    def _warn(self, what: str) -> None:
        warnings.warn(DamagedRecording(f"{self.path}: {what}"), stacklevel=3)


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


def _count(words: dict[str, Any], name: str) -> int:
    try:
        return int(words.get(name, 0))
    except ValueError:
        return 0
