"""Writing a recording: the event loop queues messages, and worker threads write them."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

from .._connection.observers import Direction
from .._failures import as_exception, pass_on
from .._websocket.transport import Prepared
from ..events import canonical
from .entry import Entry, Side
from .errors import needed
from .layout import (
    ABOUT,
    DERIVED,
    END,
    FORMAT,
    FORMAT_WITH_DERIVED,
    GAP,
    OTHERS,
    PROFILE,
    address_of,
    glance,
    nanoseconds,
)

if TYPE_CHECKING:
    from mcap.writer import Writer

    from .foxglove import Derived, Translator

__all__ = ["Compression", "RecordingFile"]

Compression: TypeAlias = Literal["zstd", "lz4", "none"]

#: maximum number of channels: MCAP allows 65,535, and a peer may invent event types
_MOST_CHANNELS = 1000
#: messages that the thread writes before it releases the GIL: about half a millisecond of work,
#: while the interpreter's switch interval is five
_SLICE = 64
#: seconds of translating before it releases the GIL; hands take one or two milliseconds
_TURN = 0.003
#: bytes that a waiting message takes beside its payload: a peer may send empty ones, without end
_OVERHEAD = 64
#: bytes of a message record in addition to its payload
_MESSAGE_HEAD = 31


#: the last time that MCAP can hold
_LATEST = 2**64 - 1


@dataclass(slots=True)
class _Gap:
    """A period in which messages were dropped; times in seconds on the loop's clock."""

    start: float
    end: float
    received: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class _Batch:
    """The messages of one read or write."""

    at: float
    direction: Direction
    messages: tuple[Any, ...]
    size: int


def _for_its_owner(path: str, flags: int) -> int:
    """Open a file that only its owner can read, because it contains all traffic.

    An existing file keeps its mode only if it belongs to another user or is not a regular file.
    """
    descriptor = os.open(path, flags, 0o600)
    try:
        if os.name == "posix" and stat.S_ISREG(os.fstat(descriptor).st_mode):
            with suppress(PermissionError):
                os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class RecordingFile:
    """The event loop calls `put` and `miss`; threads call `create`, `write` and `finish`.

    `put` may be called before the file is created, and only one thread writes at a time. All
    waiting messages are in one queue, so that no cancellation can change their order: the next call
    of `write` or `finish` starts with the oldest.
    """

    def __init__(
        self,
        path: Path,
        about: dict[str, str],
        *,
        epoch: tuple[float, int],
        overwrite: bool,
        chunk_size: int,
        compression: Compression,
        etypes: Collection[str] | None,
        foxglove: bool = False,
    ) -> None:
        """``epoch`` is a time on the loop's clock, and the same time in ns since the Unix epoch.

        With ``foxglove`` the file also has messages that other tools read.
        """
        self.path = path
        #: the exception with which writing failed, or None
        self.error: Exception | None = None
        self._epoch = epoch
        self._etypes = None if etypes is None else frozenset(map(canonical, etypes))
        self._queue: deque[_Batch | _Gap] = deque()
        self._gap: _Gap | None = None  # the current one, if messages are being dropped
        # Bytes, and messages that are not in the file: the first line is counted by the loop, the
        # second by the thread, so that neither needs a lock.
        self._put, self._missed = 0, 0
        self._done, self._lost = 0, 0
        self._lock = Lock()
        self._finished = False
        self._channels: dict[tuple[Direction, str | None], tuple[int, str]] = {}
        self._numbers: dict[str, int] = {}  # topic: channel id
        self._counts: dict[str, int] = {}  # topic: messages in the file
        # The current chunk: its messages by topic, and its approximate size.
        self._chunk: dict[str, int] = {}
        self._chunk_bytes = 0
        self._in_hand = 0  # messages taken from the queue that are not in a chunk yet
        self._about = {**about, "format": FORMAT_WITH_DERIVED if foxglove else FORMAT}
        self._overwrite = overwrite
        self._chunk_size = chunk_size
        self._compression = compression
        self._foxglove = foxglove
        self._translator: Translator | None = None
        self._schemas: dict[str, int] = {}  # name: schema id
        self._derived: dict[str, int] = {}  # topic: channel id
        self._side: Side = "server" if about.get("side") == "server" else "client"
        #: the first exception that a translation has raised
        self.fault: BaseException | None = None
        self._stream: BinaryIO
        self._writer: Writer

    # ---- called by the event loop

    @property
    def waiting(self) -> int:
        """The number of bytes that are not in the file yet."""
        return self._put - self._done

    def put(self, at: float, direction: Direction, messages: Sequence[Any]) -> None:
        """Queue messages seen at the time ``at``."""
        if self._gap is not None:
            self._queue.append(self._gap)
            self._gap = None
        size = sum(map(len, messages)) + _OVERHEAD * len(messages)
        self._put += size
        self._queue.append(_Batch(at, direction, tuple(messages), size))

    def miss(self, at: float, direction: Direction, count: int) -> None:
        """Count messages that are dropped for lack of room."""
        self._missed += count
        gap = self._gap
        if gap is None:
            gap = self._gap = _Gap(at, at)
        gap.end = at
        if direction == "sent":
            gap.sent += count
        else:
            gap.received += count

    def note_gap(self, start: float, end: float, received: int, sent: int) -> None:
        """Queue a gap that another recording has; its messages are not counted as dropped."""
        self._queue.append(_Gap(start, end, received, sent))

    @property
    def counts(self) -> dict[str, int]:
        """The number of messages in the file for each topic."""
        return self._counts.copy()

    @property
    def written(self) -> int:
        """The number of messages in the file."""
        return sum(self.counts.values())

    @property
    def dropped(self) -> int:
        """The number of messages lost for lack of room, or because writing failed."""
        return self._missed + self._lost

    @property
    def remarks(self) -> list[str]:
        """What the messages for other tools cannot express; see `Translator`."""
        return [] if self._translator is None else self._translator.remarks()

    @property
    def finished(self) -> bool:
        """Whether `finish` has completed."""
        return self._finished and self._stream.closed

    # ---- called by threads

    def create(self) -> None:
        """Create the file, before the first `write`.

        Raises FileExistsError, unless ``overwrite``, other OSErrors, and ImportError.
        """
        needed()
        from mcap.writer import CompressionType, Writer

        if self._foxglove:
            from .foxglove import Translator, foxglove_needed

            foxglove_needed()
            self._translator = Translator()
        self._stream = open(  # noqa: SIM115
            self.path, "wb" if self._overwrite else "xb", opener=_for_its_owner
        )
        try:
            kind = CompressionType[self._compression.upper()]
            # Chunks are ended by `_end_chunk`, so that the messages in the file can be counted.
            self._writer = Writer(self._stream, chunk_size=sys.maxsize, compression=kind)
            self._writer.start(profile=PROFILE, library=self._about["library"])
            self._writer.add_metadata(ABOUT, self._about)
            self._stream.flush()
        except BaseException:
            with suppress(OSError):
                self._stream.close()
            raise

    def write(self) -> None:
        """Write all waiting messages, in whole chunks. Raises nothing; see `error`."""
        with self._lock:
            if not self._finished:
                self._write()

    def finish(self) -> None:
        """Write all waiting messages and the end of the file. Raises nothing; is idempotent."""
        with self._lock:
            if self._finished:
                return
            self._finished = True
            if self._gap is not None:
                self._queue.append(self._gap)
            if self.error is not None:
                self._give_up()
                return
            self._write()
            try:
                if self.error is None:
                    self._writer.add_metadata(END, self._last_words())
                    self._writer.finish()
                self._stream.close()
            except BaseException as exc:  # a compressor may panic
                pass_on(exc)
                self._fail(as_exception(exc))

    def _last_words(self) -> dict[str, str]:
        return {
            "ended": datetime.now(UTC).isoformat(),
            "written": str(self.written),
            "dropped": str(self.dropped),
        }

    def _write(self) -> None:
        try:
            queue, turn, due = self._queue, 0, time.perf_counter() + _TURN
            while queue and self.error is None:
                item = queue.popleft()
                if isinstance(item, _Gap):
                    self._write_gap(item)
                    continue
                self._in_hand = len(item.messages)
                for message in item.messages:
                    entry = self._write_message(item, message)
                    self._in_hand -= 1
                    if entry is not None and self._translator is not None:
                        self._write_derived(entry, self._translator)
                        if time.perf_counter() >= due:
                            time.sleep(0)
                            due = time.perf_counter() + _TURN
                    if self._chunk_bytes > self._chunk_size:
                        self._end_chunk()
                    turn += 1
                    if turn % _SLICE == 0:
                        time.sleep(0)
                self._done += item.size
            self._end_chunk()
        except BaseException as exc:
            pass_on(exc)
            self._fail(as_exception(exc))

    def _write_gap(self, gap: _Gap) -> None:
        self._end_chunk()  # messages before the gap precede it in the file
        words = {
            "from": self._nanoseconds(gap.start),
            "until": self._nanoseconds(gap.end),
            "received": gap.received,
            "sent": gap.sent,
        }
        self._writer.add_metadata(GAP, {name: str(value) for name, value in words.items()})

    def _write_message(self, batch: _Batch, message: Any) -> Entry | None:
        """Write a message of the wire. Returns it, if it is one of those to be recorded."""
        payload = message.payload if type(message) is Prepared else message
        etype, ts = glance(payload)
        if self._etypes is not None and canonical(etype or "") not in self._etypes:
            return None
        log_time = self._nanoseconds(batch.at)
        publish_time = nanoseconds(ts)
        channel = self._channels.get((batch.direction, etype))
        if channel is None:
            channel = self._channel(batch.direction, etype)
        number, topic = channel
        if publish_time is None:
            publish_time = log_time
        self._writer.add_message(number, log_time, payload, publish_time)
        self._chunk[topic] = self._chunk.get(topic, 0) + 1
        self._chunk_bytes += len(payload) + _MESSAGE_HEAD
        if self._translator is None:
            return None
        other: Side = "client" if self._side == "server" else "server"
        sender = self._side if batch.direction == "sent" else other
        return Entry(log_time, publish_time, batch.direction, sender, etype, bytes(payload))

    def _write_derived(self, entry: Entry, translator: Translator) -> None:
        """Write what other tools read beside a message."""
        try:
            made = list(translator.messages(entry))
        except Exception as exc:  # ours; the recording is worth more
            self.fault = self.fault or exc
            translator.counts["untranslated"] += 1
            return
        for one in made:
            number = self._derived_channel(one)
            self._writer.add_message(number, entry.log_time, one.data, entry.publish_time)
            self._chunk_bytes += len(one.data) + _MESSAGE_HEAD

    def _derived_channel(self, made: Derived) -> int:
        from .foxglove import SCHEMAS, schema_of

        topic = made.topic
        if topic not in self._derived and len(self._derived) >= _MOST_CHANNELS:
            topic = f"/{topic.split('/')[1]}/*"
        if topic not in self._derived:
            if made.schema not in self._schemas:
                encoding, data = schema_of(made.schema)
                self._schemas[made.schema] = self._writer.register_schema(
                    made.schema, encoding, data
                )
            self._derived[topic] = self._writer.register_channel(
                topic, SCHEMAS[made.schema], self._schemas[made.schema], {DERIVED: "foxglove"}
            )
        return self._derived[topic]

    def _end_chunk(self) -> None:
        """Pass all messages written so far to the operating system."""
        self._writer.flush()
        for topic, count in self._chunk.items():
            self._counts[topic] = self._counts.get(topic, 0) + count
        self._chunk.clear()
        self._chunk_bytes = 0

    def _channel(self, direction: Direction, etype: str | None) -> tuple[int, str]:
        topic, encoding, metadata = address_of(direction, etype)
        if topic not in self._numbers and len(self._numbers) >= _MOST_CHANNELS:
            topic, encoding, metadata = address_of(direction, OTHERS)
        if topic not in self._numbers:
            self._numbers[topic] = self._writer.register_channel(topic, encoding, 0, metadata)
        channel = self._numbers[topic], topic
        if "etype" in metadata:
            self._channels[direction, etype] = channel
        return channel

    def _nanoseconds(self, at: float) -> int:
        start, nanoseconds = self._epoch
        return min(max(0, nanoseconds + round((at - start) * 1e9)), _LATEST)

    def _fail(self, exc: Exception) -> None:
        """Stop writing because of an error; the file so far stays readable."""
        if self.error is None:
            if isinstance(exc, OSError):
                exc = OSError(exc.errno, exc.strerror, str(self.path))
            self.error = exc
        with suppress(OSError):  # the disk may fail again
            self._stream.close()
        self._give_up()

    def _give_up(self) -> None:
        self._lost += sum(self._chunk.values()) + self._in_hand
        self._chunk.clear()
        self._in_hand = 0
        queue = self._queue
        while queue:
            item = queue.popleft()
            if isinstance(item, _Batch):
                self._lost += len(item.messages)
