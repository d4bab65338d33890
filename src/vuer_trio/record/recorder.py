"""Recording a connection while it is in use."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from .._client.client import VuerClient
from .._client.options import check_choice, check_size
from .._connection.observers import Direction
from .._failures import describe
from .._formatting import must_be
from .._interrupts import protected_methods
from .._nursery import open_plain_nursery
from .._reentrant import ReentrantContextManager
from .._runtime import Runtime, runtime
from .._websocket.transport import Message
from .file import Compression, RecordingFile

if TYPE_CHECKING:
    from ..server import VuerSession

__all__ = ["Recorder"]

log: logging.Logger = logging.getLogger("vuer_trio.record")

#: seconds that a cancelled recorder waits for the disk
_PATIENCE = 5.0


@protected_methods
class Recorder(ReentrantContextManager):
    """``async with Recorder("run.mcap", client):`` records all messages while the block runs.

    ``source`` is a `VuerClient`, open or not, which is recorded across reconnections, or a
    `VuerSession`. A client that opens inside the block is recorded from its INIT on. Outgoing
    messages are recorded just before they are written.

    Worker threads write the file in chunks: at least every ``interval`` seconds, and whenever
    ``chunk_size`` bytes are waiting. A process that is killed loses at most one chunk. Up to
    ``max_bytes`` may wait for a slow disk; the messages of one read or write may overshoot that.
    Beyond it, new messages are dropped, counted in `dropped`, logged once, and noted in the file.
    ``etypes`` selects the event types to record. Only the owner of the file can read it (mode
    0600): it contains all traffic, but not the password or the query of the client's URI.

    With ``foxglove``, poses and pictures are also written as other tools read them, and events as
    JSON: see `vuer_trio.record.foxglove`. This needs the extra ``foxglove``. `written`, `counts`
    and ``max_bytes`` count only the messages of the connection.

    Leaving the block writes all waiting messages and finishes the file. A cancelled block does so
    too, but waits for the disk for at most 5 s; the file is readable in any case. If the disk
    fails, the block continues, further messages are dropped, and leaving the block raises the
    OSError, unless the block was left by another exception.

    Raises FileExistsError on entry, unless ``overwrite``; TypeError and ValueError for invalid
    arguments; ImportError without the package ``mcap``, or those that ``foxglove`` needs.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        source: VuerClient | VuerSession,
        *,
        overwrite: bool = False,
        etypes: Collection[str] | None = None,
        interval: float = 1.0,
        chunk_size: int = 1 << 20,
        max_bytes: int = 64 << 20,
        compression: Compression = "zstd",
        foxglove: bool = False,
    ) -> None:
        check_size("chunk_size", chunk_size)
        check_size("max_bytes", max_bytes)
        if isinstance(interval, bool) or not isinstance(interval, int | float):
            raise TypeError(must_be("interval", "a number of seconds", interval))
        if not 0 < interval < math.inf:
            raise ValueError(must_be("interval", "more than 0 seconds, and finite", interval))
        check_choice("compression", compression, get_args(Compression))
        if isinstance(etypes, str):
            raise TypeError(must_be("etypes", "a list of event types", etypes))
        if not isinstance(foxglove, bool):
            raise TypeError(must_be("foxglove", "a bool", foxglove))
        if not hasattr(source, "observe"):
            raise TypeError(must_be("source", "a client or a session", source, secret=True))
        self.path: Path = Path(path)
        self._source = source
        self._max_bytes = max_bytes
        self._chunk_size = chunk_size
        self._interval = interval
        self._new_file = partial(
            RecordingFile,
            self.path,
            overwrite=overwrite,
            etypes=etypes,
            chunk_size=chunk_size,
            compression=compression,
            foxglove=foxglove,
        )
        self._file: RecordingFile | None = None
        self._told = False  # whether the error has been logged
        self._now: Callable[[], float] = time.monotonic
        self._wake: Any = None  # the writing task's event, set when `_wake_at` bytes wait
        self._wake_at: float = math.inf

    def __repr__(self) -> str:
        return f"<Recorder {self.path}, {self.written} written, {self.dropped} dropped>"

    # ---- state

    @property
    def written(self) -> int:
        """The number of messages in the file so far."""
        return self._file.written if self._file is not None else 0

    @property
    def counts(self) -> dict[str, int]:
        """`written` for each channel: ``{"/received/SET": 1, "/sent/INIT": 1}``."""
        return self._file.counts if self._file is not None else {}

    @property
    def waiting(self) -> int:
        """The number of bytes waiting for the disk: payloads, and 64 for each message."""
        return self._file.waiting if self._file is not None else 0

    @property
    def dropped(self) -> int:
        """The number of messages lost because the disk was too slow, or failed."""
        return self._file.dropped if self._file is not None else 0

    @property
    def error(self) -> Exception | None:
        """The exception with which writing failed, or None."""
        return self._file.error if self._file is not None else None

    # ---- running

    @asynccontextmanager
    async def _in_block(self) -> AsyncIterator[None]:
        if self._block is not None:
            raise RuntimeError(f"{self!r} is already recording")
        rt = runtime()
        self._now = rt.clock()
        self._told = False
        file = self._file = self._new_file(self._about(), epoch=(self._now(), time.time_ns()))
        # Observe first, without an await, so that nothing is missed while the file is created.
        remove = self._source.observe(self._see)
        try:
            # Not abandoned on cancellation, so that the file is closed.
            await rt.run_in_thread(file.create)
        except BaseException:
            remove()
            raise
        try:
            async with open_plain_nursery(rt) as nursery:
                nursery.start_soon(self._write_chunks, rt, file)
                try:
                    yield
                finally:
                    remove()
                    nursery.cancel_scope.cancel()
        finally:
            try:
                await _finish(rt, file)
            finally:
                self._tell_of_error()  # it may not be raised below, or may be new
                _tell_of_poses(file)
        if file.error is not None:
            raise file.error

    def _about(self) -> dict[str, str]:
        client = isinstance(self._source, VuerClient)
        return {
            "uri": self._source.uri if isinstance(self._source, VuerClient) else self._source.peer,
            "side": "client" if client else "server",
            "library": f"vuer-trio {_version()}",
            "started": datetime.now(UTC).isoformat(),
        }

    # ---- observing

    def _see(self, direction: Direction, messages: Sequence[Message]) -> None:
        """Queue the messages of a read or write, or count them as dropped. Runs in the loop."""
        file = self._file
        assert file is not None
        waiting = file.waiting
        if waiting >= self._max_bytes or file.error is not None:
            if file.error is None and not file.dropped:
                log.warning(
                    "%s: the disk is too slow, and messages are dropped: %d bytes are waiting; see "
                    "Recorder(max_bytes=...)",
                    self.path,
                    waiting,
                )
            file.miss(self._now(), direction, len(messages))
            return
        file.put(self._now(), direction, messages)
        if file.waiting >= self._wake_at:
            self._wake.set()

    # ---- writing

    async def _write_chunks(self, rt: Runtime, file: RecordingFile) -> None:
        while file.error is None:
            await self._until_there_are(1, rt, file)
            with rt.move_on_after(self._interval):
                await self._until_there_are(self._chunk_size, rt, file)
            await rt.run_in_thread(file.write, abandon_on_cancel=True)
        self._tell_of_error()

    def _tell_of_error(self) -> None:
        """Log the error, once."""
        error = self.error
        if error is not None and not self._told:
            self._told = True
            log.error("the recording has ended: %s", describe(error))

    async def _until_there_are(self, size: int, rt: Runtime, file: RecordingFile) -> None:
        """Wait until ``size`` bytes are waiting. Cancelled: nothing has changed."""
        while file.waiting < size:
            self._wake, self._wake_at = rt.Event(), size
            await self._wake.wait()
        self._wake_at = math.inf


def _tell_of_poses(file: RecordingFile) -> None:
    """Log what of the recorded poses the messages for other tools do not say."""
    for remark in file.remarks:
        log.warning("%s: %s", file.path, remark)
    if file.fault is not None:
        log.error("%s: a message could not be translated", file.path, exc_info=file.fault)


async def _finish(rt: Runtime, file: RecordingFile) -> None:
    """Finish the file. Cancelled: give the disk a few seconds, then abandon the thread."""
    try:
        await rt.run_in_thread(file.finish, abandon_on_cancel=True)
    finally:
        if not file.finished:
            began = time.monotonic()
            with rt.CancelScope(shield=True, deadline=rt.current_time() + _PATIENCE):
                await rt.run_in_thread(file.finish, abandon_on_cancel=True)
            if not file.finished and time.monotonic() < began + _PATIENCE / 2:
                # A test's virtual clock jumps ahead while a thread works, although the disk is not
                # slow. Half, because deadlines may fire early: uvloop's clock has milliseconds.
                with rt.CancelScope(shield=True):
                    await rt.run_in_thread(file.finish)
            if not file.finished:
                log.warning("%s was not finished: the disk took over %g s", file.path, _PATIENCE)


def _version() -> str:
    try:
        return version("vuer-trio")
    except PackageNotFoundError:  # run from source without installation
        return "(not installed)"
