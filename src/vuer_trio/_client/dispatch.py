"""What a client's link reads, on its way to the inbox: decoded, handled, answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from .._connection.connection import Connection
from .._connection.policies import Policy
from .._connection.sender import Sender
from .._errors import ProtocolError
from .._failures import contain
from .._handlers import Handler, HandlerRunner, Handlers, kind
from .._interrupts import call_unprotected
from ..events import ClientEvent, Event
from ..scene import Scene
from .freshness import Freshness

__all__ = ["Arrived", "Dispatch", "set_key"]

log = logging.getLogger("vuer_trio.handlers")


class Arrived:
    """A message that was decoded when it was read: an event, or what decoding raised.

    Or the message itself, which is to be decoded again when it is taken. It has a ``key`` where
    the inbox keeps the newest of each.
    """

    __slots__ = ("event", "key", "size")

    key: Hashable

    def __init__(self, event: Event | ProtocolError | bytes | bytearray, size: int) -> None:
        self.event: Event | ProtocolError | bytes | bytearray = event
        self.size: int = size

    def __len__(self) -> int:
        return self.size


class Dispatch:
    """Sees what one connection reads, before the inbox: decodes it, and has it handled."""

    def __init__(
        self,
        connection: Connection,
        handlers: Handlers,
        decode: Callable[[Any], Event],
        sender: Sender[ClientEvent],
        policy: Policy,
        freshness: Freshness[Any],
        scene: Scene | None = None,
    ) -> None:
        self._connection = connection
        self._handlers = handlers
        self._decode = decode
        self._sender = sender
        self._freshness = freshness
        self._scene = scene
        self._key_function = policy.key_function(kind)
        self._handler_runner = HandlerRunner(
            connection.rt, connection.nursery, policy, self._run, connection.outbox
        )
        connection.stop_for(self._handler_runner.boxes)

    async def finish(self) -> None:
        """Wait until every event that was read has been handled."""
        await self._handler_runner.finish()

    def messages_received(self, messages: Sequence[Any], at: float) -> list[Arrived]:
        """Decode, call, and return what goes into the inbox: all but answered requests."""
        arrived = []
        freshness = self._freshness
        if not (tracking := freshness.tracking):
            freshness.note(messages, at)
        for message in messages:
            size = len(message)
            try:
                event = self._decode(message)
            except ProtocolError as exc:
                arrived.append(Arrived(exc, size))
                continue
            if tracking:
                freshness.saw(event, size, at)
            if self._scene is not None:
                self._scene.apply(event)
            item = Arrived(event, size)
            if self._key_function is not None:
                set_key(item, event, self._key_function)
            answered = False
            for handler in self._handlers.of(event.etype):
                if handler.answers:
                    if not isinstance(getattr(event, "rtype", None), str):
                        continue
                    answered = True
                keyed = not handler.answers and hasattr(item, "key")
                self._handler_runner.put(
                    handler, event, size, (handler, item.key) if keyed else None
                )
            if not answered:
                arrived.append(item)
        return arrived

    async def _run(self, handler: Handler, event: Event) -> None:
        result = await call_unprotected(handler.fn, event)
        if handler.answers:
            key = {"key": event.key} if hasattr(event, "key") else {}
            await self._sender(ClientEvent(etype=event.rtype, value=result, **key))


def set_key(item: Arrived, event: Event, function: Callable[[Any], Hashable]) -> None:
    """Give an item its key for a policy of the newest of each."""
    try:
        key = function(event)
        hash(key)
    except BaseException as exc:  # of the user's: the reader goes on
        contain(exc, log, "the key function of the inbox raised for %s", event.etype)
    else:
        item.key = key
