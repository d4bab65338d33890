"""The state shared by the links of a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._websocket.transport import Outgoing
from .counters import Counters
from .keepalive import Keepalive
from .observers import Observers
from .queue import Queue
from .replay import Replay
from .standstill import Standstill

__all__ = ["Traffic"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The queues, gate, pings, counters and observers of a connection."""

    inbox: Queue[Any]
    outbox: Queue[Outgoing]
    reader_gate: Standstill
    keepalive: Keepalive
    #: keeps unconfirmed messages to send them again; None if that is off
    replay: Replay | None
    counters: Counters
    #: called with all messages read and written
    observers: Observers
