"""Observers, which are called with the messages of a connection as they are on the wire.

Without observers, the cost is checking an empty list: for each read, for each write, and for each
message that its sender writes directly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeAlias

from .._failures import contain
from .._formatting import must_be
from .._websocket.transport import Message, Ping

__all__ = ["Direction", "Observer", "Observers", "add_observer", "call_observer", "tell_observers"]

log = logging.getLogger("vuer_trio.link")

#: from the point of view of this side
Direction: TypeAlias = Literal["received", "sent"]
#: a sync function; under asyncio, it is called in a loop callback
Observer: TypeAlias = Callable[[Direction, Sequence[Message]], object]
#: the list is shared by all links of a connection
Observers: TypeAlias = list[Observer]


def add_observer(observers: Observers, observer: Observer) -> Callable[[], None]:
    """Add an observer. Returns a function that removes it, which may be called twice."""
    if not callable(observer):
        raise TypeError(must_be("fn", "a function of the direction and the messages", observer))
    entry = partial(observer)  # distinct, even if the same function is added twice
    observers.append(entry)

    def remove() -> None:
        if entry in observers:
            observers.remove(entry)

    return remove


def tell_observers(observers: Observers, direction: Direction, messages: Sequence[Message]) -> None:
    """Call observers with messages in order, without pings; the sequence may be reused afterwards.

    They get views of their own, which they may release.

    Sent messages are shown just before they are written, so that no reply can be shown first.
    """
    kinds = set(map(type, messages))
    if Ping in kinds:
        messages = [message for message in messages if type(message) is not Ping]
    if memoryview in kinds:
        messages = [m.toreadonly() if isinstance(m, memoryview) else m for m in messages]
    if messages:
        for observer in tuple(observers):
            call_observer(observer, direction, messages)


def call_observer(observer: Observer, direction: Direction, messages: Sequence[Message]) -> None:
    """Call an observer. Its exceptions are logged, and do not affect the connection."""
    try:
        observer(direction, messages)
    except BaseException as exc:
        contain(exc, log, "an observer of a connection raised")
