"""How an ending reads: from what a transport saw to the error that its users raise."""

from __future__ import annotations

from .._errors import ConnectionClosed
from .._transport.base import Ending

__all__ = ["closed_error"]

#: RFC 6455 §7.4.1 and the IANA registry
_NAMES = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no code given",
    1006: "abnormal closure",
    1007: "invalid payload",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension missing",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
}


def closed_error(ending: Ending, uri: str) -> ConnectionClosed:
    """The error for calls on a link to ``uri`` that ended so."""
    if ending.by == "loss":
        message = f"the connection to {uri} was lost: {ending.reason}"
    elif ending.by == "us":
        message = f"closed the connection to {uri} with code {ending.code}: {ending.reason}"
        if ending.code == 1009:
            message += "; open it with a larger max_size= to receive such messages"
    else:
        name = _NAMES.get(ending.code)
        message = f"{uri} closed the connection with code {ending.code}"
        message += f" ({name})" if name else ""
        message += f": {ending.reason}" if ending.reason else ""
    error = ConnectionClosed(message, code=ending.code, reason=ending.reason)
    error.__cause__ = ending.cause
    return error
