"""The changes of several processes in one order: each process applies all of them.

A change goes to the store, and is applied where it comes back: in the process that made it as in
the others. So all have the same state after the same entry, and the order is the store's.

- One append is under way at a time, with all changes that wait. It is repeated when it is not known
  whether it was done; changes have numbers, and who reads skips those that it has seen.
- Who comes late, or was away for long, loads the snapshot and reads on from the entry at which it
  was made. That this entry is still there shows that nothing is missing.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .._connection.backoff import Delays
from .._connection.link_changes import Connected, Disconnected, LinkChanges, Watch
from .._connection.log_limit import LogLimit
from .._errors import ConnectionFailed, EncodeError, OutboxFull
from .._interrupts import protected_block, protected_methods
from .._nursery import background_service, open_plain_nursery
from .._runtime import Runtime, runtime
from .bus import Bus
from .entries import (
    SNAPSHOT_FIELD,
    Changes,
    Damaged,
    Founding,
    Snapshot,
    SnapshotMark,
    encode_changes,
    encode_founding,
    parse_entry,
    parse_snapshot,
)
from .link import BusLink, Entry, LinkLost, Refused, place_of
from .pending import Pending
from .shared_state import Origin, SharedState

if TYPE_CHECKING:
    from .._async_types import AsyncEvent, CancelScope, TaskStatus

__all__ = ["MAX_ENTRY", "Journal"]

log: logging.Logger = logging.getLogger("vuer_trio.bus")

#: bytes of an entry, and so of a change; what is larger is not read
MAX_ENTRY = 1 << 26
#: entries that are read at once, of PAGE_BYTES together unless it is one
_PAGE = 128
#: entries that are taken as soon as they are there, however large they are; if there are so many,
#: all of them are read by pages
_NEWS = 2
#: seconds that a read waits for the next entry
_WAIT = 2.0
#: seconds: entries are kept for so long at least, so that who has just read on, and has not stood
#: still for half of it, has missed none
_KEEP = 30.0
#: seconds between two looks at whether a snapshot is due, and until the lock for one expires
_LOOK, _LOCK = 5.0, 30.0
#: a snapshot is due after so many changes, or so many bytes of them, or a part of each; and of a
#: large state only after that many times its own size
_DUE, _DUE_BYTES, _DUE_TIMES = 20_000, 1 << 22, 2
#: writers that are remembered; of more, those are forgotten that were silent for a day (in ms); and
#: of how many those that were silent for longest
_WRITERS, _DAY, _MOST_WRITERS = 1000, 86_400_000, 10_000
#: seconds for what waits to be stored when the block ends
_GOODBYE = 1.0


class _Reload(Exception):
    """Entries are missing here: the snapshot is to be loaded."""


@protected_methods
class Journal:
    """One process's part in the journal called ``topic``: `block` runs it.

    ``most`` and ``max_bytes`` limit the changes that have not come back yet. ``greet(link)`` is
    called for each link before a change goes over it, and ``beside(link)`` runs as long as it does.
    """

    def __init__(
        self,
        bus: Bus,
        topic: str,
        state: SharedState,
        *,
        most: int = 10_000,
        max_bytes: int = 1 << 26,
        greet: Callable[[BusLink], Awaitable[None]] | None = None,
        beside: Callable[[BusLink], Coroutine[Any, Any, None]] | None = None,
        keep: float = _KEEP,
        look: float = _LOOK,
        due: int = _DUE,
    ) -> None:
        self._bus = bus
        self._topic = topic
        self._state = state
        self._most = most
        self._max_bytes = max_bytes
        self._greet, self._beside = greet, beside
        self._keep, self._look, self._due = keep, look, due
        self._new_writer()
        self._sent = 0  # the number of the newest change that this link has stored
        self._at: bytes | None = None  # the entry that was read last
        self._applied = (0, 0)  # the newest entry that ever was
        self._epoch = b""
        self._foreign: set[bytes] = (
            set()
        )  # epochs that begin in the stream, but not in the snapshot
        self._astray = False  # the snapshot is to be loaded, whatever can be read
        self._writers: dict[bytes, tuple[int, int]] = {}
        self._since, self._since_bytes = 0, 0  # the latest snapshot
        self._state_size = 0
        self._refusal = ""  # why the store does not take what waits
        self._link: BusLink | None = None
        self._generation = 0
        self._running = self._over = False
        self._scope: CancelScope | None = None  # of what runs
        self._work: AsyncEvent | None = None  # of the writer that has nothing to do
        self._progress: AsyncEvent | None = None  # of those who wait for changes to come back
        self._changes = LinkChanges()
        self._strange = LogLimit(log, "entries that are not of this library")

    def _new_writer(self) -> None:
        #: a random name of this process, in this run
        self.writer: bytes = os.urandom(8)
        self._pending = Pending(self._most, self._max_bytes)
        self._pid = os.getpid()

    # ---- for any code of the loop

    @property
    def connected(self) -> bool:
        """Whether there is a link, over which everything has been read."""
        return self._link is not None

    @property
    def waiting(self) -> int:
        """The changes that have not come back yet."""
        return len(self._pending)

    @property
    def confirmed(self) -> int:
        """The number of the newest change that has come back."""
        return self._pending.confirmed

    @property
    def has_room(self) -> bool:
        """Whether `append` takes a change."""
        return self._pending.has_room

    @property
    def running(self) -> bool:
        """Whether the block is entered."""
        return self._running

    def watch(self) -> Watch:
        """The openings and ends of links, from now on."""
        return self._changes.watch(runtime())

    def append(self, payload: bytes, *, always: bool = False) -> int:
        """Have a change made, here and everywhere, when it is its turn. Returns its number.

        Raises OutboxFull, and for lack of room not if that is to be done ``always``.
        """
        if len(payload) > MAX_ENTRY // 2:
            raise OutboxFull(
                f"a change of {len(payload):,} bytes is too large for a bus, which takes "
                f"{MAX_ENTRY // 2:,}; send less at once, or by a URL"
            )
        pending = self._pending
        if not (pending.has_room or always):
            why = self._refusal or (
                "changes come faster than it takes them"
                if self.connected
                else "it is not connected"
            )
            raise OutboxFull(
                f"the bus at {self._bus._shown} has not taken {len(pending):,} changes "
                f"({pending.size:,} bytes), and there is no room for more: {why}; "
                "wait with `await ....flush()`, or change less"
            )
        pending.add(payload)
        if self._work is not None:
            self._work.set()
            self._work = None
        return pending.newest

    async def flush(self) -> None:
        """Wait until all changes that were made here before have been applied here.

        Cancelled: they are made nevertheless. Raises ConnectionFailed if the block ends before.
        """
        rt = runtime()
        await rt.checkpoint()
        newest = self._pending.newest
        while self._pending.confirmed < newest:
            if self._over:
                raise ConnectionFailed(
                    f"{self.waiting:,} changes were not stored before the end of the block",
                    uri=self._bus._shown,
                )
            if self._progress is None:
                self._progress = rt.Event()
            await self._progress.wait()

    async def catch_up(self) -> None:
        """Wait until everything has been applied that was stored before, if there is a link."""
        link, rt = self._link, runtime()
        await rt.checkpoint()
        if link is None:
            return
        try:
            newest = await link.newest(self._topic)
        except (LinkLost, Refused):
            return  # the reader will hear of it
        while self._link is link and self._at is not None and newest is not None:
            if place_of(self._at) >= place_of(newest):
                return
            if self._progress is None:
                self._progress = rt.Event()
            await self._progress.wait()

    # ---- its life

    @protected_block
    async def block(self) -> AsyncGenerator[None, None]:
        """Take part, for the length of the block.

        Entering waits until everything has been read. Raises ConnectionFailed, unless the bus's
        ``reconnect`` retries the first attempt as well. On leaving, what waits has one second to
        be stored.
        """
        rt = runtime()
        if self._running:
            raise RuntimeError(f"{self!r} is open already")
        if self._pid != os.getpid():  # a fork: its parent has that name, and makes these changes
            self._new_writer()
        self._running, self._over = True, False
        try:
            async with background_service(rt, self._run):
                # A cancellation from here on reaches the block, which takes a moment to say
                # goodbye, and then ends this.
                assert self._scope is not None
                self._scope.shield = True
                try:
                    yield
                finally:
                    try:
                        await self._say_goodbye(rt)
                    finally:
                        self._scope.cancel()
        finally:
            self._running, self._over = False, True
            self._tell_progress()
            ended, self._changes = self._changes, LinkChanges()
            ended.end()

    async def _say_goodbye(self, rt: Runtime) -> None:
        deadline = rt.current_time() + _GOODBYE
        with rt.CancelScope(shield=True, deadline=deadline):
            if self.connected:
                await self.flush()
        if self.waiting:
            log.warning(
                "%d changes were not stored by %s, and are lost to the other processes%s",
                self.waiting,
                self._bus._shown,
                f": {self._refusal}" if self._refusal else "",
            )

    async def _run(self, *, task_status: TaskStatus[None]) -> None:
        rt = runtime()
        delays = Delays(self._bus.reconnect)
        self._generation, joined = 0, False

        def opened() -> None:
            nonlocal joined
            if not joined:
                task_status.started(None)
            joined = True

        with rt.CancelScope() as scope:
            self._scope = scope
            await self._run_links(rt, delays, opened)

    async def _run_links(self, rt: Runtime, delays: Delays, opened: Callable[[], None]) -> None:
        while True:
            since = rt.current_time()
            try:
                await self._live(rt, opened)
            except (LinkLost, Refused) as exc:
                # A package may make an error of its own of a cancellation, which goes first.
                await rt.checkpoint()
                was_open = self._link is not None
                self._lost(exc, rt)
                if not self._generation and not self._bus.reconnect.first:
                    raise ConnectionFailed(str(exc), uri=self._bus._shown) from exc.__cause__
                refused = isinstance(exc, Refused)
                if was_open:
                    delay: float | None = delays.after_link(rt.current_time() - since, refused)
                else:
                    delay = delays.after_failure(refused)
                if delay is None:
                    raise ConnectionFailed(
                        f"{exc}; given up after {self._bus.reconnect.attempts} attempts",
                        uri=self._bus._shown,
                    ) from exc.__cause__
                await rt.sleep(delay)
            finally:
                self._link = None

    async def _live(self, rt: Runtime, opened: Callable[[], None]) -> None:
        """One link."""
        self._sent = 0
        async with self._bus._open_link() as link:
            if self._greet is not None:
                await self._greet(link)
            await self._join(link)
            self._link = link
            self._generation += 1
            if self._generation > 1:
                log.warning(
                    "the bus at %s is back; %d changes made here meanwhile are sent now",
                    self._bus._shown,
                    self.waiting,
                )
            self._refusal = ""
            self._changes.tell(Connected(self._generation))
            opened()
            async with open_plain_nursery(rt) as nursery:
                if self._beside is not None:
                    nursery.start_soon(self._beside, link)
                nursery.start_soon(self._write, rt, link)
                nursery.start_soon(self._compact, rt, link)
                await self._read(rt, link)

    def _lost(self, exc: Exception, rt: Runtime) -> None:
        was_open, self._link = self._link is not None, None
        self._tell_progress()
        if was_open:
            self._changes.tell(Disconnected(1006, str(exc), rt.current_time()))
        if was_open or str(exc) != self._refusal:
            log.warning("the bus is lost: %s; %d changes wait for it", exc, self.waiting)
        self._refusal = str(exc)

    # ---- reading

    async def _join(self, link: BusLink) -> None:
        """Read everything, from where it was left, or from the snapshot."""
        tried: bytes | None = None
        while self._at is None or self._astray or not await self._catch_up(link):
            await self._load(link)
            # Loaded twice: it is there, and no more. After once, there may be a newer one by now.
            if self._at is not None and tried == self._at:
                await self._found(link, again=True)
            tried = self._at

    async def _catch_up(self, link: BusLink) -> bool:
        """Read to the end. False: what comes next is not there any more."""
        at = self._at
        while at is not None:
            page = await link.read(self._topic, at, _PAGE)
            if page is None:
                return False
            try:
                await self._take(page.entries)
            except _Reload:
                return False
            if not page.more:
                return True
            at = self._at
        return False

    async def _load(self, link: BusLink) -> None:
        """Load the snapshot; without one, begin the journal with what is here."""
        data = await link.load(self._topic)
        if data is None and self._at is None and await link.newest(self._topic) is not None:
            # Those that run have what it held, and make another one when they miss it.
            await runtime().sleep(3 * self._look)
            data = await link.load(self._topic)
        if data is None:
            await self._found(link)
            return
        try:
            snapshot = parse_snapshot(data)
            if self._at is not None:
                if self._is_newer(snapshot) and await link.newest(self._topic) is None:
                    await self._found(link)  # its entries alone are gone
                    return
                self._say_what_is_missing(snapshot)
            self._state.load(snapshot.state)
        except ValueError as exc:
            raise Refused(
                f"the snapshot of {self._topic!r} at {self._bus._shown} cannot be read: {exc}; "
                "use another name, or delete its keys"
            ) from None
        if snapshot.epoch != self._epoch:
            self._foreign.clear()
        self._at, self._epoch, self._astray = snapshot.at, snapshot.epoch, False
        self._writers = snapshot.writers
        self._since = self._since_bytes = 0
        self._state_size = len(data)
        self._confirm()

    def _is_newer(self, snapshot: Snapshot) -> bool:
        """Whether all that it holds is here."""
        return (
            self._at is not None
            and snapshot.epoch == self._epoch
            and place_of(snapshot.at) <= place_of(self._at)
        )

    def _say_what_is_missing(self, snapshot: Snapshot) -> None:
        assert self._at is not None
        if snapshot.epoch != self._epoch or place_of(snapshot.at) < place_of(self._at):
            log.error(
                "the bus at %s has lost changes of %r: what is shared is now as it has it; "
                "have it keep its data (appendonly yes)",
                self._bus._shown,
                self._topic,
            )

    async def _found(self, link: BusLink, *, again: bool = False) -> None:
        ms = await link.now() + 1  # after all entries of a journal that was there before
        if self._at is not None and again:
            log.error(
                "the entries of %r at %s are gone, but not its snapshot: it goes on from there",
                self._topic,
                self._bus._shown,
            )
        elif self._at is not None:
            log.error(
                "the bus at %s has lost everything of %r, and gets it from here; have it keep its "
                "data (appendonly yes)",
                self._bus._shown,
                self._topic,
            )
            ms = max(ms, place_of(self._at)[0] + 1)  # the others read on from there
        epoch, at = os.urandom(8), f"{ms}-0".encode()
        snapshot = Snapshot(at, epoch, dict(self._writers), self._state.dump()).encode()
        if await link.found(self._topic, Entry(at, encode_founding(epoch)), snapshot):
            self._at, self._epoch, self._astray = at, epoch, False
            self._foreign.clear()
            self._since = self._since_bytes = 0
            self._state_size = len(snapshot)
        elif again:
            raise Refused(
                f"the entry of the snapshot of {self._topic!r} at {self._bus._shown} is gone, but "
                "not the later ones; delete its keys, or use another name="
            )

    async def _read(self, rt: Runtime, link: BusLink) -> None:
        """Read on, until the link is lost."""
        up_to_date = rt.current_time()  # nothing that was there then has not been read
        while True:
            assert self._at is not None
            before = rt.current_time()
            entries, more = await link.wait(self._topic, self._at, _NEWS, _WAIT)
            try:
                late = rt.current_time() - up_to_date > self._keep / 2
                if late or more or self._may_lack(entries):
                    raise _Reload  # have some been dropped?
                if not entries:
                    await self._check_end(link)
                await self._take(entries)
            except _Reload:
                if self._astray:  # what is on its way went elsewhere: a new link sends it again
                    raise LinkLost(f"the journal {self._topic!r} has begun anew") from None
                before = rt.current_time()
                await self._join(link)
            up_to_date = before

    def _may_lack(self, entries: list[Entry]) -> bool:
        """Whether entries before these may have been dropped unread. No clock of this machine
        tells: it stands still while that sleeps, and the store's own may jump. What was dropped is
        older than ``keep`` before the mark of the snapshot for which it was."""
        assert self._at is not None
        oldest = place_of(self._at)[0] + self._keep * 1000
        return any(
            SNAPSHOT_FIELD in entry.fields and place_of(entry.id)[0] > oldest for entry in entries
        )

    async def _check_end(self, link: BusLink) -> None:
        """Raises LinkLost if what was read last is not there any more, and nothing else is."""
        assert self._at is not None
        if await link.read(self._topic, self._at, 1) is None:
            raise LinkLost(f"the journal {self._topic!r} was deleted")

    async def _take(self, entries: list[Entry]) -> None:
        """Apply entries. Raises _Reload."""
        for entry in entries:
            self._at = entry.id
            self._since += 1
            self._since_bytes += entry.size
            try:
                found = parse_entry(entry, MAX_ENTRY)
            except Damaged as exc:
                if self._strange.admits():
                    log.error(
                        "skipped the entry %s of %r at %s: %s",
                        entry.id.decode("ascii", "replace"),
                        self._topic,
                        self._bus._shown,
                        exc,
                    )
                continue
            if isinstance(found, Changes):
                self._apply(entry, found)
            elif isinstance(found, SnapshotMark):
                self._since = self._since_bytes = 0
                self._forget_writers(place_of(entry.id)[0])
            elif isinstance(found, Founding) and found.epoch not in {self._epoch, *self._foreign}:
                self._foreign.add(found.epoch)
                self._astray = True
                raise _Reload
            await runtime().checkpoint()  # an entry may hold many changes
        self._confirm()

    def _apply(self, entry: Entry, changes: Changes) -> None:
        writer, place = changes.writer, place_of(entry.id)
        ms, again = place[0], place <= self._applied
        self._since += len(changes.payloads) - 1
        known = self._writers.get(writer, (0, 0))[0]
        own = writer == self.writer
        for number, payload in enumerate(changes.payloads, changes.first):
            if number <= known:
                continue  # it was sent again
            known = number
            try:
                self._state.apply(payload, Origin(writer, own, ms, number, again))
            except Exception as exc:  # in the stream it would end all, again and again
                if self._strange.admits():
                    log.error(
                        "skipped a change in the entry %s of %r at %s: %s",
                        entry.id.decode("ascii", "replace"),
                        self._topic,
                        self._bus._shown,
                        exc,
                    )
        self._writers[writer] = (known, ms)
        self._applied = max(self._applied, place)

    def _forget_writers(self, ms: int) -> None:
        """At the same entry in all processes, so that all skip the same changes."""
        if len(self._writers) <= _WRITERS:
            return
        newest_last = sorted(self._writers.items(), key=lambda item: (item[1][1], item[0]))
        self._writers = {
            name: known for name, known in newest_last[-_MOST_WRITERS:] if known[1] >= ms - _DAY
        }

    def _confirm(self) -> None:
        """Forget what has come back."""
        before = len(self._pending)
        self._pending.confirm(self._writers.get(self.writer, (0, 0))[0])
        if len(self._pending) < before:
            self._state.confirmed(self._pending.confirmed)
        self._tell_progress()

    def _tell_progress(self) -> None:
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    # ---- writing

    async def _write(self, rt: Runtime, link: BusLink) -> None:
        delays = Delays(self._bus.reconnect)
        while True:
            first, payloads = self._pending.batch(self._sent)
            if not payloads:
                self._work = rt.Event()
                await self._work.wait()
                continue
            try:
                entry_id = await link.append(
                    self._topic, encode_changes(self.writer, first, payloads)
                )
            except Refused as exc:
                if str(exc) != self._refusal:
                    self._refusal = str(exc)
                    log.warning("%s; %d changes wait", exc, self.waiting)
                await rt.sleep(delays.after_link(0.0))
                continue
            if entry_id is None:
                raise LinkLost(f"the journal {self._topic!r} was deleted")
            if self._refusal:
                log.warning("the bus at %s takes changes again", self._bus._shown)
                self._refusal, delays = "", Delays(self._bus.reconnect)
            self._sent = first + len(payloads) - 1

    # ---- snapshots

    @property
    def _is_due(self) -> bool:
        read = self._since_bytes + self._since * _DUE_BYTES / self._due
        return not self._state_size or read >= max(_DUE_BYTES, _DUE_TIMES * self._state_size)

    async def _compact(self, rt: Runtime, link: BusLink) -> None:
        """Make a snapshot now and then, one process at a time."""
        while True:
            await rt.sleep(self._look * random.uniform(0.5, 1.5))
            try:
                self._state_size = await link.snapshot_size(self._topic)
                if self._is_due:
                    await self._compact_once(link)
            except (Refused, EncodeError) as exc:
                log.warning("no snapshot was made of %r: %s", self._topic, exc)

    async def _compact_once(self, link: BusLink) -> None:
        if not await link.lock(self._topic, self.writer, _LOCK):
            return
        try:
            await self.catch_up()  # meanwhile another process may have made one
            self._state_size = await link.snapshot_size(self._topic)
            if self._is_due and await self._make_snapshot(link):
                return
        except (Refused, EncodeError):
            with suppress(Refused):
                await link.unlock(self._topic, self.writer)
            raise
        await link.unlock(self._topic, self.writer)

    async def _make_snapshot(self, link: BusLink) -> bool:
        at = self._at
        assert at is not None
        data = Snapshot(at, self._epoch, dict(self._writers), self._state.dump()).encode()
        done = await link.compact(self._topic, self.writer, data, at, self._keep)
        if done and not self._state_size:
            log.error(
                "the snapshot of %r at %s was gone, and has been made anew; have it evict nothing "
                "(maxmemory-policy noeviction)",
                self._topic,
                self._bus._shown,
            )
        if done:
            self._state_size = len(data)
            log.debug("%r: a snapshot of %d bytes at %s", self._topic, len(data), at.decode())
        return done

    def __repr__(self) -> str:
        return f"<Journal {self._topic!r} at {self._bus._shown}>"
