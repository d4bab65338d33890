"""Those who are shown what a connection carries, as it is on the wire.

A connection without an observer pays for the look at an empty list: once for each read, for each
write of the writer's, and for each message that its sender writes by itself.
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

#: as this side sees it
Direction: TypeAlias = Literal["received", "sent"]
#: is called in sync code, in a callback of the loop's under asyncio
Observer: TypeAlias = Callable[[Direction, Sequence[Message]], object]
#: the list outlives the links, and is looked at by each of them
Observers: TypeAlias = list[Observer]


def add_observer(observers: Observers, observer: Observer) -> Callable[[], None]:
    """Show it everything from now on; the function returned removes it, even if called twice."""
    if not callable(observer):
        raise TypeError(must_be("fn", "a function of the direction and the messages", observer))
    entry = partial(observer)  # the same function may observe twice
    observers.append(entry)

    def remove() -> None:
        if entry in observers:
            observers.remove(entry)

    return remove


def tell_observers(observers: Observers, direction: Direction, messages: Sequence[Message]) -> None:
    """Show messages in their order, pings left out; the sequence may be reused afterwards.

    What is sent is shown just before it is written, so that no reply can come before it.
    """
    if Ping in map(type, messages):
        messages = [message for message in messages if type(message) is not Ping]
    if messages:
        for observer in tuple(observers):
            call_observer(observer, direction, messages)


def call_observer(observer: Observer, direction: Direction, messages: Sequence[Message]) -> None:
    """What an observer raises is logged, and changes nothing for the connection."""
    try:
        observer(direction, messages)
    except BaseException as exc:
        contain(exc, log, "an observer of a connection raised")
