"""A change of a scene, on its way to several sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .._received import ReceivedServerEvent
from .._websocket.transport import Prepared
from ..events import ServerEvent

__all__ = ["Change", "Prepare"]

#: encodes and frames an event, as the sessions of one server want it
Prepare: TypeAlias = Callable[[ServerEvent], Prepared]


class Change(ReceivedServerEvent):
    """An event that is encoded and framed once for all sessions of a server."""

    __slots__ = ("_framed",)

    def __init__(self, raw: dict[str, Any]) -> None:
        super().__init__(raw)
        self._framed: dict[Prepare, Prepared] = {}

    def framed(self, prepare: Prepare) -> Prepared:
        """The message for an outbox. Raises EncodeError."""
        message = self._framed.get(prepare)
        if message is None:
            message = self._framed[prepare] = prepare(self)
        return message
