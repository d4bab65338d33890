"""What one side of a recorded connection has sent, as it can be played again."""

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


class Entries(Protocol):
    """A recording."""

    @property
    def path(self) -> object: ...

    def __iter__(self) -> Iterator[Entry]: ...


class Script:
    """Iterates pairs of a delay, in seconds since the one before, and an event.

    The delay of the first is 0. It can be iterated many times. What cannot be decoded is left out,
    and logged.
    """

    def __init__(
        self,
        recording: Entries,
        sender: Side,
        *,
        etypes: Collection[str] | None = None,
        init: bool = False,
    ) -> None:
        if sender not in ("client", "server"):
            raise ValueError(must_be("sender", "'client' or 'server'", sender))
        if isinstance(etypes, str):
            raise TypeError(must_be("etypes", "a list of event types", etypes))
        self._recording = recording
        self._sender = sender
        self._etypes = None if etypes is None else frozenset(map(canonical, etypes))
        self._init = init

    def __repr__(self) -> str:
        return f"<Script of the {self._sender} in {self._recording.path}>"

    def __iter__(self) -> Iterator[tuple[float, ClientEvent | ServerEvent]]:
        before: int | None = None
        for entry in self._recording:
            if not self._has(entry):
                continue
            try:
                event = entry.as_event()
            except ProtocolError as exc:
                log.warning("%s: %r is left out: %s", self._recording.path, entry, exc)
                continue
            delay = 0 if before is None else entry.log_time - before
            before = entry.log_time
            yield delay / 1e9, event

    def _has(self, entry: Entry) -> bool:
        if entry.sender != self._sender:
            return False
        etype = entry.etype
        if etype == "INIT" and not self._init:
            return False
        return self._etypes is None or canonical(etype) in self._etypes
