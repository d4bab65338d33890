"""The file of a recording while it is written: filled by a loop, emptied in a worker thread."""

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
from .errors import needed
from .layout import ABOUT, END, GAP, OTHERS, PROFILE, address_of, glance, nanoseconds

if TYPE_CHECKING:
    from mcap.writer import Writer

__all__ = ["Compression", "RecordingFile"]

Compression: TypeAlias = Literal["zstd", "lz4", "none"]

#: event types that get a channel of their own: MCAP has 65,535 channels, and a peer may make up
#: types
_MOST_CHANNELS = 1000
#: messages that the thread writes until it lets the loop run: about half a millisecond of work,
#: where the interpreter would make the loop wait for five
_SLICE = 64
#: bytes of a message's record beside its payload
_MESSAGE_HEAD = 31


@dataclass(slots=True)
class _Gap:
    """Where messages were dropped; times in seconds on the clock of the recorder."""

    start: float
    end: float
    received: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class _Batch:
    """What was seen in one step."""

    at: float
    direction: Direction
    messages: tuple[Any, ...]
    size: int


def _for_its_owner(path: str, flags: int) -> int:
    """Open a file that only its owner can read: it holds what was said on a connection.

    One that is there keeps its mode only if it belongs to somebody else, or is no regular file.
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
    """`put` and `miss` are for the loop, `write` and `finish` for a thread; these take turns.

    The loop may begin before there is a file: `create` makes it, in a thread as well. What waits
    lies in one queue, so that no cancellation can change the order: whichever call of `write` or
    `finish` comes next writes what is the oldest.
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
    ) -> None:
        """``epoch``: a time of the loop's clock, and what it is in nanoseconds."""
        self.path = path
        #: why nothing more is written, once it is so
        self.error: Exception | None = None
        self._epoch = epoch
        self._etypes = None if etypes is None else frozenset(map(canonical, etypes))
        self._queue: deque[_Batch | _Gap] = deque()
        self._gap: _Gap | None = None  # the one that has not ended
        # Each is counted by one side alone: bytes, and messages that are not in the file.
        self._put, self._missed = 0, 0
        self._done, self._lost = 0, 0
        self._lock = Lock()
        self._finished = False
        self._channels: dict[tuple[Direction, str | None], tuple[int, str]] = {}
        self._numbers: dict[str, int] = {}  # of the channels, by topic
        self._counts: dict[str, int] = {}  # of the messages in the file, by topic
        # The chunk that is being filled: its messages, by topic, and about its bytes.
        self._chunk: dict[str, int] = {}
        self._chunk_bytes = 0
        self._in_hand = 0  # messages that have left the queue, and are in no chunk yet
        self._about = about
        self._overwrite = overwrite
        self._chunk_size = chunk_size
        self._compression = compression
        self._stream: BinaryIO
        self._writer: Writer

    # ---- the loop's side

    @property
    def waiting(self) -> int:
        """Bytes that are not in the file yet."""
        return self._put - self._done

    def put(self, at: float, direction: Direction, messages: Sequence[Any], size: int) -> None:
        """Messages of ``size`` bytes were seen ``at`` that time."""
        if self._gap is not None:
            self._queue.append(self._gap)
            self._gap = None
        self._put += size
        self._queue.append(_Batch(at, direction, tuple(messages), size))

    def miss(self, at: float, direction: Direction, count: int) -> None:
        """Messages were seen, and there is no room for them."""
        self._missed += count
        gap = self._gap
        if gap is None:
            gap = self._gap = _Gap(at, at)
        gap.end = at
        if direction == "sent":
            gap.sent += count
        else:
            gap.received += count

    @property
    def counts(self) -> dict[str, int]:
        """Messages in the file, for each topic."""
        return self._counts.copy()

    @property
    def written(self) -> int:
        """Messages in the file."""
        return sum(self.counts.values())

    @property
    def dropped(self) -> int:
        """Messages that are not in the file, because there was no room or no disk for them."""
        return self._missed + self._lost

    @property
    def finished(self) -> bool:
        """Whether `finish` has done what it can."""
        return self._finished and self._stream.closed

    # ---- the thread's side

    def create(self) -> None:
        """Create the file, before all `write`.

        Raises FileExistsError, unless it is to be overwritten, and other OSErrors; ImportError.
        """
        needed()
        from mcap.writer import CompressionType, Writer

        self._stream = open(  # noqa: SIM115
            self.path, "wb" if self._overwrite else "xb", opener=_for_its_owner
        )
        try:
            kind = CompressionType[self._compression.upper()]
            # The chunks are made here, so that it is known whose messages are in the file.
            self._writer = Writer(self._stream, chunk_size=sys.maxsize, compression=kind)
            self._writer.start(profile=PROFILE, library=self._about["library"])
            self._writer.add_metadata(ABOUT, self._about)
            self._stream.flush()
        except BaseException:
            with suppress(OSError):
                self._stream.close()
            raise

    def write(self) -> None:
        """Write what waits, in whole chunks. Raises nothing; see `error`."""
        with self._lock:
            if not self._finished:
                self._write()

    def finish(self) -> None:
        """Write what waits, then the end of the file. Raises nothing; may be called twice."""
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
            except BaseException as exc:  # of a compressor, too, which may panic
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
            queue, turn = self._queue, 0
            while queue and self.error is None:
                item = queue.popleft()
                if isinstance(item, _Gap):
                    self._write_gap(item)
                    continue
                self._in_hand = len(item.messages)
                for message in item.messages:
                    self._write_message(item, message)
                    self._in_hand -= 1
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
        self._end_chunk()  # which goes first
        words = {
            "from": self._nanoseconds(gap.start),
            "until": self._nanoseconds(gap.end),
            "received": gap.received,
            "sent": gap.sent,
        }
        self._writer.add_metadata(GAP, {name: str(value) for name, value in words.items()})

    def _write_message(self, batch: _Batch, message: Any) -> None:
        payload = message.payload if type(message) is Prepared else message
        etype, ts = glance(payload)
        if self._etypes is not None and canonical(etype or "") not in self._etypes:
            return
        log_time = self._nanoseconds(batch.at)
        publish_time = nanoseconds(ts)
        channel = self._channels.get((batch.direction, etype))
        if channel is None:
            channel = self._channel(batch.direction, etype)
        number, topic = channel
        self._writer.add_message(
            number, log_time, payload, log_time if publish_time is None else publish_time
        )
        self._chunk[topic] = self._chunk.get(topic, 0) + 1
        self._chunk_bytes += len(payload) + _MESSAGE_HEAD

    def _end_chunk(self) -> None:
        """Give the system what has been written so far."""
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
        return max(0, nanoseconds + round((at - start) * 1e9))

    def _fail(self, exc: Exception) -> None:
        """Nothing more can be written; what is in the file stays readable."""
        if self.error is None:
            if isinstance(exc, OSError):
                exc = OSError(exc.errno, exc.strerror, str(self.path))
            self.error = exc
        with suppress(OSError):  # of the same disk
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
