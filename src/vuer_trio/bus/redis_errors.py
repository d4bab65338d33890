"""What a Redis that refuses has said, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from .._formatting import shown, without

__all__ = ["advice", "refusal"]

_ADVICE = (
    (("oom ", "command not allowed when used memory"), "give it more memory (maxmemory)"),
    (("readonly", "read only replica"), "it is a replica: use the address of its primary"),
    (
        ("noauth", "authentication required", "already authenticated"),
        "put its password into the URI, redis://:password@host",
    ),
    (
        ("wrongpass", "invalid username-password", "invalid password"),
        "check the user and the password in the URI",
    ),
    (
        ("noperm", "no permissions", "can't run this command", "can't access"),
        "its user needs +@stream +@string +@scripting +@connection +time on ~vuer-trio:*",
    ),
    (
        ("wrongtype", "wrong kind of value"),
        "its keys hold something else: delete them, or use another name=",
    ),
    (("misconf",), "it cannot write to its disk: see its log"),
    (("unknown command",), "it is too old, or no Redis: 6.2 or newer is needed"),
)
_OTHER = "see its log"


def advice(text: str) -> str:
    """What to do about an error."""
    low = text.lower()
    return next((do for marks, do in _ADVICE if any(mark in low for mark in marks)), _OTHER)


def refusal(where: str, error: Exception, secrets: Sequence[str]) -> str:
    """The whole message."""
    text = without(str(error), secrets)
    kind = type(error).__name__
    return f"Redis at {where} refuses: {shown(text or kind)}; {advice(f'{kind} {text}')}"
