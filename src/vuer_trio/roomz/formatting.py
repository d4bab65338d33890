"""Formatting events for the terminal: text with styles."""

from __future__ import annotations

import html
from datetime import datetime
from typing import Any

__all__ = ["Line", "name_of", "printable", "show_event"]

#: pairs of text and a rich style
Line = list[tuple[str, str]]

#: invisible, but part of emoji
_JOINERS = "\u200d\ufe0f"


def printable(text: object) -> str:
    """Make a server's text safe for a terminal: escape control characters.

    The server escapes text for HTML; that is undone.
    """
    plain = html.unescape(str(text))
    return "".join(
        c if c.isprintable() or c in _JOINERS else " " if c.isspace() else "\ufffd" for c in plain
    )


def name_of(user: Any) -> str:
    """``Name (email)``, or only the email."""
    if not isinstance(user, dict):
        return "somebody"
    email = printable(user.get("email") or user.get("id") or "somebody")
    name = user.get("display_name")
    return f"{printable(name)} ({email})" if name else email


def show_event(name: str, data: dict[str, Any]) -> Line | None:
    """The line for an event; None for one that is not shown."""
    who = name_of(data.get("user"))
    match name:
        case "message":
            said = printable(data.get("content", ""))
            return [(_time(data), "dim"), (who, "bold"), (f": {said}", "")]
        case "user_joined":
            return [(_time(data), "dim"), (f"{who} joined{_count(data, 'total')}", "green")]
        case "user_left":
            return [(_time(data), "dim"), (f"{who} left{_count(data, 'remaining')}", "magenta")]
        case "display_name_changed":
            return [(_time(data), "dim"), (f"another device is now {who}", "green")]
        case "authenticated":
            return [(f"Connected as {who}.", "bold green")]
        case "error":
            said = f"Error {printable(data.get('code', ''))}: {printable(data.get('error', ''))}"
            return [(said, "bold red")]
    return None


def _count(data: dict[str, Any], which: str) -> str:
    count = data.get(f"{which}_connections")
    return f" ({count} connected)" if isinstance(count, int) else ""


def _time(data: dict[str, Any]) -> str:
    """The local time of an event, to start a line."""
    try:
        return datetime.fromisoformat(data["timestamp"]).astimezone().strftime("[%H:%M] ")
    except (KeyError, TypeError, ValueError, OverflowError):
        return ""
