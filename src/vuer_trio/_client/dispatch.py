"""What a client's link reads, on its way to the inbox: decoded, handled, answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from .._connection.connection import Connection
from .._connection.freshness import Freshness
from .._connection.policies import Policy
from .._connection.received_item import ReceivedItem
from .._connection.sender import Sender
from .._errors import ProtocolError
from .._handlers import Handler, HandlerRunner, Handlers
from .._interrupts import call_unprotected
from ..events import ClientEvent, Event
from ..scene import Scene

__all__ = ["Dispatch"]

log = logging.getLogger("vuer_trio.handlers")


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
        self._decode = decode
        self._freshness = freshness
        self._scene = scene
        self._handler_runner = HandlerRunner(
            connection.rt,
            connection.nursery,
            handlers,
            policy,
            partial(_call, sender),
            connection.outbox,
            connection.stop_for,
        )

    async def finish(self) -> None:
        """Wait until every event that was read has been handled."""
        await self._handler_runner.finish()

    def messages_received(self, messages: Sequence[Any], at: float) -> list[ReceivedItem[Any]]:
        """Decode, call, and return what goes into the inbox: all but answered requests."""
        arrived: list[ReceivedItem[Any]] = []
        freshness = self._freshness
        if not (tracking := freshness.tracking):
            freshness.note(messages, at)
        for message in messages:
            size = len(message)
            try:
                event = self._decode(message)
            except ProtocolError as exc:
                arrived.append(ReceivedItem(exc, size))
                continue
            if tracking:
                freshness.saw(event, size, at)
            if self._scene is not None:
                self._scene.apply(event)
            item = ReceivedItem(event, size)
            if not self._handler_runner.receive(event, size, item):
                arrived.append(item)
        return arrived


def _call(
    sender: Sender[ClientEvent], handler: Handler, event: Event
) -> Coroutine[Any, Any, object]:
    if handler.answers:
        return _answer(sender, handler, event)
    return call_unprotected(handler.fn, event)


async def _answer(sender: Sender[ClientEvent], handler: Handler, event: Event) -> None:
    result = await call_unprotected(handler.fn, event)
    key = {"key": event.key} if hasattr(event, "key") else {}
    await sender(ClientEvent(etype=event.rtype, value=result, **key))
