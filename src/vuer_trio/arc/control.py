"""Control frames from the relay: `welcome`, errors, pongs and replies to commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .message import RELAY, ARCMessage

__all__ = ["Control", "control_in"]

REPLIES = frozenset(("subscribed", "unsubscribed", "subscriptions"))
_TYPES = REPLIES | {"welcome", "error", "pong"}


class Control(NamedTuple):
    """A control frame, normalised from any of the documented forms.

    The payload of an error is ``{"code": ..., "message": ...}``.
    """

    type: str
    payload: Mapping[str, Any]
    to: list[str]


def control_in(message: ARCMessage, own_id: str | None) -> Control | None:
    """Interpret a message as a control frame; return None for a message from an agent.

    Agents may send any type, so only the sender decides: it must be the relay, with this agent as
    the only recipient, or absent, as in the flat forms. Unknown types from the relay are control
    frames too.
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
