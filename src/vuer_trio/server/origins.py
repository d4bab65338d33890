"""Which web pages may open a session: a browser names the page's origin (RFC 6454) by itself."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["DEFAULT", "allows", "check_origins"]

#: what ``origins=`` is unless it is given: the page of the web client. Pages of this machine, and
#: of the server itself, are allowed with every list
DEFAULT = ("https://vuer.ai",)

_LOCAL = ("localhost", "127.0.0.1", "::1")


def allows(origins: Iterable[str] | None, origin: str | None, host: str | None) -> bool:
    """Whether a page of ``origin`` may connect to ``host``, both as in the request's headers.

    Without an Origin it is no page that asks. With ``origins=None`` all may.
    """
    if origins is None or origin is None:
        return True
    if origin in origins:
        return True
    try:
        page = urlsplit(origin)
        name = page.hostname
    except ValueError:
        return False
    if page.scheme not in ("http", "https"):
        return False
    return name in _LOCAL or (host is not None and page.netloc.lower() == host.lower())


def check_origins(origins: Iterable[str] | None) -> None:
    """Raises TypeError and ValueError."""
    if origins is None:
        return
    if isinstance(origins, str):
        raise TypeError(f"origins={origins!r}: write a list, [{origins!r}]")
    for origin in origins:
        if not isinstance(origin, str):
            raise TypeError(f"origins: {origin!r}: write strings, 'https://example.com'")
        page = urlsplit(origin)
        if not (page.scheme and page.netloc) or page.path or page.query:
            raise ValueError(
                f"origins: {origin!r}: write scheme, host and port only, 'https://example.com'"
            )
