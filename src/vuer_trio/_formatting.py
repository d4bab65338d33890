"""What may be seen, in messages, logs and reprs, of what is secret, or was written by others.

A URI is shown without its password and the values of its query, which may be tokens. Text that a
peer has chosen is shown on one line, cut off, with nothing in it that could move a cursor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_plus, urlsplit

__all__ = [
    "HIDDEN",
    "must_be",
    "secrets_of",
    "shown",
    "shown_path",
    "shown_uri",
    "without",
    "without_bytes",
]

#: stands for what is not shown
HIDDEN = "***"
#: names in a query whose values are shown: the protocol's own, of Socket.IO
_HARMLESS = frozenset(("EIO", "transport"))
#: characters of a text by others, of a URI, and of a value that is no option
_LONGEST, _LONGEST_URI, _LONGEST_VALUE = 200, 400, 60
#: characters; what is shorter is no secret that could be found again in a text
_SHORTEST_SECRET = 4
#: where a library quotes the bytes that it could not read
_QUOTED = re.compile(r"[\s:]*(\bin )?(bytearray\()?\bb['\"]", re.ASCII)


def shown(text: object, limit: int = _LONGEST) -> str:
    """Text that somebody else may have written: escaped, and cut off after ``limit`` characters."""
    whole = str(text)
    cut = whole[:limit]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return cut if len(whole) <= limit else f"{cut}…"


def shown_uri(uri: object) -> str:
    """A URI, or what was meant as one, as it may be shown.

    Of what cannot be taken apart, everything between ``//`` and the last ``@`` is hidden: a
    password with a ``/``, ``?`` or ``#`` in it has ended the host too early.
    """
    whole = str(uri)
    scheme, slashes, rest = whole.partition("//")
    if not slashes or "@" in scheme:
        scheme, slashes, rest = "", "", whole
    if not (slashes and _is_sound(whole)):
        user, at, rest = rest.rpartition("@")
        authority = f"{HIDDEN}@" if at else ""
    else:
        authority, rest = _split_at(rest, "/?#")
        user, at, host = authority.rpartition("@")
        if at:
            name, colon, _ = user.partition(":")  # without a colon it may be a token
            authority = f"{name}:{HIDDEN}@{host}" if colon else f"{HIDDEN}@{host}"
    path, rest = _split_at(rest, "?#")
    if authority and not at and ":" in authority and "@" in path:
        path = f"/{HIDDEN}@{path.rpartition('@')[2]}"  # ws://me:12/34@host: is 12 the port?
    return shown(scheme + slashes + authority + shown_path(path + rest), _LONGEST_URI)


def shown_path(resource: str) -> str:
    """Path, query and fragment of a URI, as they may be shown."""
    path, rest = _split_at(resource, "?#")
    query, fragment = _split_at(rest, "#")
    if query:
        query = "?" + "&".join(map(_shown_item, query[1:].split("&")))
    return shown(path + query + (f"#{HIDDEN}" if fragment else ""), _LONGEST_URI)


def _is_sound(uri: str) -> bool:
    """Whether it can be taken apart, and surely where it seems to."""
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and parts.port != 0 and "@" not in parts.fragment
    except ValueError:
        return False


def _split_at(text: str, marks: str) -> tuple[str, str]:
    """Before the first of the marks, and from there on."""
    at = min((found for mark in marks if (found := text.find(mark)) >= 0), default=len(text))
    return text[:at], text[at:]


def _shown_item(item: str) -> str:
    name, equals, value = item.partition("=")
    if name in _HARMLESS:
        return item
    return f"{name}={HIDDEN if value else ''}" if equals else HIDDEN if item else ""


def secrets_of(query: str) -> list[str]:
    """What of a query is not to be shown, as it is and as it was quoted."""
    items = [item.partition("=") for item in query.split("&")]
    found = [value if equals else name for name, equals, value in items if name not in _HARMLESS]
    return [*found, *map(unquote_plus, found)]


def without(text: str, secrets: Iterable[str]) -> str:
    """Text that somebody else may have written, without what is secret here: some servers repeat
    what they were sent."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    return text


def without_bytes(fault: object) -> str:
    """What a library says of bytes that it could not read, without the bytes: a line of a header
    may be that of a password."""
    return _QUOTED.split(str(fault), maxsplit=1)[0]


def must_be(name: str, what: str, value: object, do: str = "", *, secret: bool = False) -> str:
    """``max_size must be an int, got 'q'; use bytes``. Of a ``secret`` only its type is told."""
    if secret:
        got = type(value).__name__
    else:
        try:
            got = shown(repr(value), _LONGEST_VALUE)
        except Exception:  # a repr that fails, or never ends
            got = type(value).__name__
    return f"{name} must be {what}, got {got}" + (f"; {do}" if do else "")
