"""The URLs of a relay: its WebSocket and its registration endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from .._formatting import must_be, shown_uri
from .._net.address import parse_address, split

__all__ = ["RelayAddress", "parse_relay_url"]

DEFAULT_URL = "http://localhost:8080"
_SECURE = {"http": False, "https": True, "ws": False, "wss": True}


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """The WebSocket ``uri``, and the ``base`` of ``/register`` and ``/stats``.

    ``next_base`` is the same on the next port, for relays that serve only WebSockets on their own
    port.
    """

    uri: str
    base: str
    next_base: str


def parse_relay_url(url: str) -> RelayAddress:
    """Parse ``http(s)://``, ``ws(s)://`` or a bare host, with or without ``/arc``.

    Raises TypeError, and ValueError that says what is wrong with the URL.
    """
    if not isinstance(url, str):
        raise TypeError(must_be("relay_url", "a str", url, f"use {DEFAULT_URL!r}", secret=True))

    def wrong(what: str) -> ValueError:
        return ValueError(
            f"relay_url must be the URL of a relay, got {shown_uri(url)!r}: {what}; "
            f"use {DEFAULT_URL}"
        )

    full = url if "://" in url else f"http://{url}"
    try:
        parts, port = split(full)
    except ValueError as exc:
        raise wrong(str(exc)) from None
    if parts.scheme not in _SECURE:
        raise wrong(f"the scheme is {parts.scheme!r}")
    if not parts.hostname:
        raise wrong("it has no host")
    if parts.username is not None:
        raise wrong("it has a user; a relay knows an agent by token=")
    if parts.query or parts.fragment:
        raise wrong("it has a query or a fragment; the token goes into token=")
    if any(ord(c) <= 32 for c in url):
        raise wrong("it has white space")
    secure = _SECURE[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix("/arc")
    http, ws = ("https", "wss") if secure else ("http", "ws")
    at = host if port is None else f"{host}:{port}"
    following = (port if port is not None else 443 if secure else 80) + 1
    return RelayAddress(
        f"{ws}://{at}{path}/arc", f"{http}://{at}{path}", f"{http}://{host}:{following}{path}"
    )


def parse_register_url(url: str) -> str:
    """Return the registration URL: ``url`` itself, with ``/register`` if it has no path."""
    if not isinstance(url, str):
        hint = f"use {DEFAULT_URL + '/register'!r}"
        raise TypeError(must_be("register_url", "a str", url, hint, secret=True))
    wrong = must_be(
        "register_url",
        "an http:// or https:// URL without a user",
        shown_uri(url),
        "use http://host:port",
    )
    if not url.startswith(("http://", "https://")):
        raise ValueError(wrong)
    try:
        address = parse_address("ws" + url.removeprefix("http"))
    except ValueError:
        raise ValueError(wrong) from None
    if address.user is not None:
        raise ValueError(wrong)
    return f"{url.rstrip('/')}/register" if address.resource == "/" else url
