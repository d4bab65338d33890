"""What is in a recording: counts, rates, pauses, sizes, and what is damaged."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike

from .errors import DamagedRecording
from .layout import DERIVED
from .outline import Gap
from .recording import Recording, open_recording

__all__ = ["RecordingSummary", "TopicSummary", "summarize"]


@dataclass(slots=True)
class TopicSummary:
    """The messages of one channel. Times are in seconds since the epoch."""

    topic: str
    #: ``received``, ``sent``, or ``derived`` for what other tools read
    kind: str
    count: int = 0
    #: bytes of all messages, and of the largest
    size: int = 0
    largest: int = 0
    first: float = 0.0
    last: float = 0.0
    #: the longest time between two messages that follow each other, in seconds, and when it began
    longest_gap: float = 0.0
    longest_gap_at: float = 0.0

    @property
    def rate(self) -> float | None:
        """Messages a second, from the first to the last; None without two at different times."""
        elapsed = self.last - self.first
        return (self.count - 1) / elapsed if self.count > 1 and elapsed > 0 else None

    def _add(self, time: float, size: int) -> None:
        if not self.count:
            self.first = self.last = time
        elif time - self.last > self.longest_gap:
            self.longest_gap, self.longest_gap_at = time - self.last, self.last
        self.count += 1
        self.size += size
        self.largest = max(self.largest, size)
        self.last = max(self.last, time)


@dataclass(slots=True)
class RecordingSummary:
    """A recording as a whole, as far as it can be read."""

    recording: Recording
    #: bytes of the file
    file_size: int
    #: the most frequent first, those for other tools last
    topics: list[TopicSummary] = field(default_factory=list)
    #: where the recorder dropped messages
    gaps: list[Gap] = field(default_factory=list)
    #: what cannot be read, a sentence each
    damages: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Messages of the connection."""
        return sum(topic.count for topic in self.topics if topic.kind != DERIVED)

    @property
    def size(self) -> int:
        """Bytes of all messages of the connection."""
        return sum(topic.size for topic in self.topics if topic.kind != DERIVED)


def summarize(
    path: str | PathLike[str], *, progress: Callable[[float], object] | None = None
) -> RecordingSummary:
    """Read a whole recording, and count what is in it; the messages themselves are not decoded.

    ``path`` is the path of the file. After each chunk, ``progress`` is called with the fraction
    that has been read, from 0 to 1; what it raises is raised here. The summary lists damages, and
    no warnings are given. Raises what `open_recording` raises.
    """
    with warnings.catch_warnings(record=True) as damages:
        warnings.simplefilter("always", DamagedRecording)
        recording = open_recording(path)
        found = _read(recording, progress)
    prefix = f"{recording.path}: "
    found.damages = [
        str(damage.message).removeprefix(prefix)
        for damage in damages
        if issubclass(damage.category, DamagedRecording)
    ]
    return found


def _read(recording: Recording, progress: Callable[[float], object] | None) -> RecordingSummary:
    outline = recording._outline
    topics: dict[str, TopicSummary] = {}
    channels = dict(outline.channels)
    with open(recording.path, "rb") as stream:
        for place in outline.chunks:
            for number, log_time, _, payload in recording._messages(stream, place, channels):
                about = channels.get(number)
                topic = "(unknown)" if about is None else about["topic"]
                found = topics.get(topic)
                if found is None:
                    kind = "unknown"
                    if about is not None:
                        kind = DERIVED if DERIVED in about else about.get("direction", "received")
                    found = topics[topic] = TopicSummary(topic, kind)
                found._add(log_time / 1e9, len(payload))
            if progress is not None:
                progress((place.offset + place.size) / max(1, outline.size))
    order = sorted(
        topics.values(), key=lambda each: (each.kind == DERIVED, -each.count, each.topic)
    )
    return RecordingSummary(recording, outline.size, order, list(outline.gaps))
