"""What the relay itself says: `welcome`, errors, pongs, and the replies to commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .message import RELAY, ARCMessage

__all__ = ["Control", "control_in"]

REPLIES = frozenset(("subscribed", "unsubscribed", "subscriptions"))
_TYPES = REPLIES | {"welcome", "error", "pong"}


class Control(NamedTuple):
    """One such frame, in whichever of the documented forms it came.

    The payload of an error is ``{"code": ..., "message": ...}``.
    """

    type: str
    payload: Mapping[str, Any]
    to: list[str]


def control_in(message: ARCMessage, own_id: str | None) -> Control | None:
    """The control frame that a message is; None for an agent's message.

    An agent may send any type, so only the sender counts: the relay, to this agent alone, or
    nobody, as in the flat forms. Of the relay, an unknown type is control, too.
    """
    if message.sender == RELAY:
        if message.to and own_id is not None and message.to != [own_id]:
            return None
        kind = message.type or ""
        payload = message.payload if isinstance(message.payload, dict) else {}
        return Control(kind, payload, message.to)
    if "from" in message:
        return None
    if message.type == "error" or (message.type is None and isinstance(message.get("error"), str)):
        nested = message.payload
        if isinstance(nested, dict):
            return Control("error", nested, message.to)
        flat = {"code": message.get("error"), "message": message.get("message")}
        return Control("error", flat, message.to)
    if message.type in _TYPES:
        inner = message.payload
        rest = {name: value for name, value in message.items() if name not in ("type", "to")}
        return Control(message.type, inner if isinstance(inner, dict) else rest, message.to)
    return None
