"""The events of one side of a recorded connection, to be replayed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Protocol

from .._errors import ProtocolError
from .._formatting import must_be
from ..events import ClientEvent, ServerEvent, canonical
from .entry import Entry, Side

__all__ = ["Entries", "Script"]

log: logging.Logger = logging.getLogger("vuer_trio.record")

#: messages: some hundred microseconds of work
_PACE = 100


class Entries(Protocol):
    """What a script uses of a recording."""

    @property
    def path(self) -> object: ...

    def _entries(self, first: int, last: int) -> Iterator[Entry]: ...


class Script:
    """Iterates over pairs of an event and its delay, in seconds since the previous event.

    The delay comes first in each pair, and is 0 for the first event. A script can be iterated many
    times. Messages that cannot be decoded are skipped and logged.
    """

    def __init__(
        self,
        recording: Entries,
        sender: Side,
        *,
        etypes: Collection[str] | None = None,
        init: bool = False,
        times: tuple[int, int] = (0, 2**64 - 1),
    ) -> None:
        if sender not in ("client", "server"):
            raise ValueError(must_be("sender", "'client' or 'server'", sender))
        if isinstance(etypes, str):
            raise TypeError(must_be("etypes", "a list of event types", etypes))
        self._recording = recording
        self._sender = sender
        self._etypes = None if etypes is None else frozenset(map(canonical, etypes))
        self._init = init
        self._times = times

    def __repr__(self) -> str:
        return f"<Script of the {self._sender} in {self._recording.path}>"

    def __iter__(self) -> Iterator[tuple[float, ClientEvent | ServerEvent]]:
        for delay, event in self._steps():
            if event is not None:
                yield delay, event

    def _steps(self) -> Iterator[tuple[float, ClientEvent | ServerEvent | None]]:
        """The same, with the Nones of `_paced`."""
        before: int | None = None
        for log_time, event in self._paced(*self._times):
            if event is None:
                yield 0.0, None
                continue
            delay = 0 if before is None else log_time - before
            before = log_time
            yield delay / 1e9, event

    def _paced(
        self, first: int, last: int
    ) -> Iterator[tuple[int, ClientEvent | ServerEvent | None]]:
        """Yield the events of these log times, each with its own, and a None for each `_PACE`
        messages that are left out: whoever shares a loop may let the others run."""
        left_out = 0
        for entry in self._recording._entries(first, last):
            if self._has(entry):
                try:
                    event = entry.as_event()
                except ProtocolError as exc:
                    log.warning("%s: skipping %r: %s", self._recording.path, entry, exc)
                else:
                    yield entry.log_time, event
                    continue
            left_out += 1
            if left_out % _PACE == 0:
                yield entry.log_time, None

    def _has(self, entry: Entry) -> bool:
        if entry.sender != self._sender:
            return False
        etype = entry.etype
        if etype == "INIT" and not self._init:
            return False
        return self._etypes is None or canonical(etype) in self._etypes
