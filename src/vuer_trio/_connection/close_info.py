"""Interpreting the end of a link: the error to raise, and whether to dial again."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from .._errors import ConnectionClosed, ConnectionFailed, VuerError
from .._formatting import must_be, shown
from .._net.rejection import Rejected
from .._websocket.transport import CloseInfo, Outgoing, Ping

__all__ = ["check_close", "closed_error", "count_messages", "is_final", "unsent_error"]

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
#: maximum characters of a reason in an error message
_LONGEST = 600
#: codes that are never sent: they stand for the absence of a close frame or its code
_NEVER_SENT = (1005, 1006)
#: HTTP statuses after which dialling again is pointless
_FINAL = (401, 403, 404, 407)
#: TLS that was cut off, a loss like any other
_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


def check_close(code: int, reason: str) -> None:
    """Raise ValueError or TypeError for a code or reason that cannot be sent."""
    if isinstance(code, bool) or not isinstance(code, int):
        raise TypeError(must_be("code", "an int, 1000", code))
    if not ((code in _NAMES and code not in _NEVER_SENT) or 3000 <= code < 5000):
        what = "1000, another of RFC 6455 §7.4.1, or 3000 to 4999"
        raise ValueError(must_be("code", what, code))
    if not isinstance(reason, str):
        raise TypeError(must_be("reason", "a str", reason))


def closed_error(close_info: CloseInfo, uri: str) -> ConnectionClosed:
    """The error of calls after a link to ``uri`` ended with ``close_info``."""
    if close_info.by == "loss":
        message = f"the connection to {uri} was lost: {shown(close_info.reason, _LONGEST)}"
    elif close_info.by == "us":
        reason = shown(close_info.reason, _LONGEST)
        message = f"closed the connection to {uri} with code {close_info.code}: {reason}"
        if close_info.code == 1009 and "max_size" in close_info.reason:
            message += "; open it with a larger max_size= to receive such messages"
    else:
        name = _NAMES.get(close_info.code)
        message = f"{uri} closed the connection with code {close_info.code}"
        message += f" ({name})" if name else ""
        message += f": {shown(close_info.reason, _LONGEST)}" if close_info.reason else ""
    error = ConnectionClosed(message, code=close_info.code, reason=close_info.reason)
    error.__cause__ = close_info.cause
    return error


def unsent_error(
    count: int, what: str, uri: str, close_info: CloseInfo | None, closed: VuerError | None
) -> ConnectionClosed:
    """The error of closing with ``count`` messages that were not sent or confirmed (``what``).

    ``closed`` is the error of other calls, which has the reason after giving up.
    """
    close_info = close_info or CloseInfo("loss", 1006, "it was not open")
    reason: str = close_info.reason or f"it closed with code {close_info.code}"
    cause = close_info.cause
    if isinstance(closed, ConnectionFailed):
        reason, cause = str(closed), closed
    error = ConnectionClosed(
        f"{count} message{'s were' if count > 1 else ' was'} not {what} {uri}: "
        f"{shown(reason, _LONGEST)}",
        code=close_info.code,
        reason=close_info.reason,
    )
    error.__cause__ = cause
    return error


def count_messages(items: Iterable[Outgoing]) -> int:
    """The number of messages, without pings."""
    return sum(type(item) is not Ping for item in items)


def is_final(exc: Exception) -> bool:
    """Whether dialling again is pointless: refused, not trusted, or an error of the caller."""
    if isinstance(exc, Rejected):
        return exc.location is not None or exc.status in _FINAL
    for error in (exc, exc.__cause__):
        if isinstance(error, ssl.SSLError):
            return not isinstance(error, _CUT_OFF)
    return not isinstance(exc, OSError)
