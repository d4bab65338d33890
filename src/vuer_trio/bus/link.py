"""An open link to what keeps the journals of several processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

__all__ = ["PAGE_BYTES", "BusLink", "Entry", "LinkLost", "Page", "Refused", "place_of"]

#: bytes that are read at once, or one entry
PAGE_BYTES = 1 << 20


class Entry(NamedTuple):
    """One entry of a journal. Everything in it may have been written by a stranger."""

    #: ``b"1700000000000-0"``: milliseconds of the store's clock, and a count; they only grow
    id: bytes
    fields: Mapping[bytes, bytes]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(len(name) + len(value) for name, value in self.fields.items())


class Page(NamedTuple):
    """Entries that follow one another."""

    entries: list[Entry]
    #: whether there may be later ones
    more: bool


class LinkLost(Exception):
    """The store cannot be reached, or does not answer; a new link may work."""


class Refused(Exception):
    """The store was reached, and refuses; the text says why and what to do."""


def place_of(entry_id: bytes) -> tuple[int, int]:
    """An id as numbers, which can be compared. Raises ValueError."""
    ms, _, count = entry_id.partition(b"-")
    return int(ms), int(count or 0)


class BusLink(Protocol):
    """What a store has to do, for the journal called ``topic``.

    All of it raises LinkLost and Refused. Each call is atomic: what was cancelled, or has raised
    LinkLost, was done whole or not at all.
    """

    async def now(self) -> int:
        """The store's clock, in milliseconds."""

    async def load(self, topic: str) -> bytes | None:
        """The newest snapshot; None if there is none."""

    async def snapshot_size(self, topic: str) -> int:
        """Its bytes; 0 without one."""

    async def found(self, topic: str, entry: Entry, snapshot: bytes) -> bool:
        """Begin a journal, with its first entry and the snapshot at it. False: there is one."""

    async def append(self, topic: str, fields: Mapping[bytes, bytes]) -> bytes | None:
        """Append an entry; returns its id. None: there is no such journal."""

    async def read(self, topic: str, after: bytes, count: int) -> Page | None:
        """Up to ``count`` entries after that one, of PAGE_BYTES together unless it is one; None:
        that one is not there."""

    async def wait(self, topic: str, after: bytes, count: int, seconds: float) -> Page:
        """Up to ``count`` entries after that one, however large; waits for the first of them, not
        for ever."""

    async def newest(self, topic: str) -> bytes | None:
        """The id of the newest entry; None without one."""

    async def lock(self, topic: str, owner: bytes, seconds: float) -> bool:
        """Take the lock of a journal, or keep it; it expires. False: somebody else has it."""

    async def unlock(self, topic: str, owner: bytes) -> None:
        """Give the lock back, if it is the owner's."""

    async def compact(
        self, topic: str, owner: bytes, snapshot: bytes, at: bytes, keep: float
    ) -> bool:
        """Replace the snapshot by one at the entry ``at``, append an entry that says so, and drop
        the entries before it that are older than ``keep`` seconds. Needs the lock, and gives it
        back; False: it has expired."""

    async def beat(self, topic: str, member: bytes, seconds: float) -> None:
        """Say that a process is alive, for so long."""

    async def silent(self, topic: str, members: Iterable[bytes]) -> list[bytes]:
        """Those of the processes that have not said so."""
