"""Where a server sends its clients instead (RFC 9110 §15.4), and what they take with them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from urllib.parse import parse_qsl, urljoin, urlsplit

from .._net.address import Address, parse_address
from .._net.connect_options import ConnectOptions
from .._net.rejection import Rejected

__all__ = ["REDIRECTS", "follow"]

#: redirects that one dial follows
REDIRECTS = 5
#: which of them lead to one place, where the same is to be asked
_FOLLOWED = (301, 302, 303, 307, 308)
#: a server names itself as a page would
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
#: parts of the names of headers, and of parameters in a query, whose values are secrets
_SECRET = (
    "auth",
    "cookie",
    "token",
    "secret",
    "key",
    "passw",
    "session",
    "credential",
    "signature",
)


def follow(options: ConnectOptions, rejected: Rejected, count: int) -> ConnectOptions:
    """The next dial, after ``count`` redirects that were followed in this one.

    Another origin (scheme, host or port) gets no Authorization, no cookie, no user, and nothing
    else that is named like a secret. Raises Rejected, which names the Location, for one that is
    not followed.
    """
    here = options.address
    if not rejected.location:
        raise _final(rejected, "it does not say where to, in one Location")
    there = _target(here, rejected)
    if rejected.status not in _FOLLOWED:
        raise _final(rejected, there, "with this status the choice is left to the user")
    if count >= REDIRECTS:
        raise _final(rejected, there, f"{REDIRECTS} redirects were followed: is it a loop?")
    if here.secure and not there.secure:
        raise _final(rejected, there, "it leads from wss to ws, which anybody can read")
    if options.stream is not None:
        raise _final(rejected, there, "stream= leads to one server; open one that leads there")
    if _origin(here) == _origin(there):
        return replace(options, address=replace(there, user=here.user))
    if options.stays is not None:
        raise _final(rejected, there, options.stays)
    same_host = here.host == there.host
    return replace(
        options,
        address=_without_reflected(here, there),
        headers=[field for field in options.headers if _may_leave(field[0])],
        server_hostname=options.server_hostname if same_host else None,
    )


def _target(here: Address, rejected: Rejected) -> Address:
    """Where its Location leads. Without a user: credentials of a stranger's are not taken."""
    location = rejected.location or ""
    with suppress(UnicodeError):  # bytes, which the head's parser takes for Latin-1
        location = location.encode("latin-1").decode()
    named = repr(location.partition("?")[0].partition("#")[0].rpartition("@")[2][:100])
    if "\\" in location or any(ord(c) <= 32 or ord(c) == 127 for c in location):
        raise _final(rejected, f"its Location, {named}, is not a URL")
    scheme = "https" if here.secure else "http"
    base = f"{scheme}://{here.host_header}{here.resource}"
    try:
        # urljoin knows what "relative" means for http.
        parts = urlsplit(urljoin(base, location.partition("#")[0]))
        if parts.scheme not in _SCHEMES:
            raise _final(rejected, f"its Location, {named}, is not a WebSocket's")
        authority = parts.netloc.rpartition("@")[2]
        uri = parts._replace(scheme=_SCHEMES[parts.scheme], netloc=authority).geturl()
        there = parse_address(uri)
    except ValueError:
        raise _final(rejected, f"its Location, {named}, is not a URL") from None
    if there.host == here.bare_host:  # relative, and the zone was not the server's to know
        there = replace(there, host=here.host)
    return there


def _final(rejected: Rejected, *what: Address | str) -> Rejected:
    """An error that names where it leads, as far as that is known, and why nobody goes there."""
    *there, why = what
    named = "".join(f", Location: {place.shown}" for place in there if isinstance(place, Address))
    return Rejected(
        f"{rejected}{named}; it is not followed: {why}",
        status=rejected.status,
        location=rejected.location,
        cause=rejected,
    )


def _origin(address: Address) -> tuple[bool, str, int]:
    return address.secure, address.host.lower(), address.port


def _is_secret(name: str) -> bool:
    return any(part in name.lower() for part in _SECRET)


def _may_leave(name: str) -> bool:
    return name.lower() != "host" and not _is_secret(name)


def _without_reflected(here: Address, there: Address) -> Address:
    """A server that sends on all of the query sends a secret in it, too: that goes no further."""
    path, _, query = there.resource.partition("?")
    secrets = _secrets(here)
    if not secrets or not query:
        return there
    kept = [part for part in query.split("&") if not _holds(part, secrets)]
    return replace(there, resource=path + ("?" + "&".join(kept) if kept else ""))


def _secrets(address: Address) -> Sequence[str]:
    query = urlsplit(address.resource).query
    return [value for name, value in parse_qsl(query) if _is_secret(name)]


def _holds(part: str, secrets: Sequence[str]) -> bool:
    return any(value in secrets for _, value in parse_qsl(part))
