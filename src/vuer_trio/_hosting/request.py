"""The request with which a client came, as programs get it: `Request`."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .._formatting import secrets_of, shown_path

if TYPE_CHECKING:
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["Request", "request_of"]

#: headers whose values are no secrets
_HARMLESS = frozenset(
    (
        *("accept", "accept-encoding", "accept-language", "cache-control", "connection", "host"),
        *("origin", "pragma", "sec-websocket-extensions", "sec-websocket-version", "upgrade"),
        *("user-agent",),
    )
)
_PIECES = re.compile(r"[\s,;=]+")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Request:
    """What a client sent to open its session, or to ask for a page.

    A function given as ``authorize=`` is called with it, and `VuerSession.request` keeps it. The
    mappings cannot be changed. Its repr shows the names of what is in the query, and no values.
    """

    #: "GET"
    method: str
    #: of the URL, decoded: "/"
    path: str
    #: the first value of each name in the query of the URL, decoded
    query: Mapping[str, str] = field(default_factory=dict)
    #: by names in lower case, decoded as Latin-1; those of a name that came more than once are
    #: joined by ", "
    headers: Mapping[str, str] = field(default_factory=dict)
    #: the first value of each name
    cookies: Mapping[str, str] = field(default_factory=dict)
    #: the subprotocols that a WebSocket offers, in its order
    subprotocols: tuple[str, ...] = ()
    #: address and port of the client: "192.168.1.7:51234"
    peer: str = ""
    #: the address alone; None for a stream that has none
    host: str | None = None
    #: whether it came over TLS
    secure: bool = False
    #: the client's certificate with ``ca_cert=``, in the form of `ssl.SSLSocket.getpeercert`
    certificate: Mapping[str, Any] | None = None
    #: whether it opens a WebSocket; False for a page
    websocket: bool = True
    _target: str = field(default="/")

    def __repr__(self) -> str:
        return f"<Request {self.method} {shown_path(self._target)} of {self.peer}>"

    def _secrets(self) -> list[str]:
        """What of it is not to be shown, whole and in pieces."""
        found = secrets_of(self._target.partition("?")[2])
        for name, value in self.headers.items():
            if name == "authorization":
                kind, _, value = value.partition(" ")
                if kind.lower() == "basic":
                    found += _credentials(value)
            if name not in _HARMLESS:
                pieces = [value, *_PIECES.split(value)]
                found += [*pieces, *map(unquote, pieces)]
        return found


def request_of(incoming: IncomingRequest) -> Request:
    """The request of an accepted stream."""
    head = incoming.request
    path, _, query = head.target.partition("#")[0].partition("?")
    headers: dict[str, str] = {name: head.header(name) or "" for name, _ in head.headers}
    return Request(
        head.method,
        _decoded(path),
        _first(parse_qsl(query, keep_blank_values=True)),
        MappingProxyType(headers),
        _first(_cookies(headers.get("cookie", ""))),
        tuple(filter(None, map(str.strip, headers.get("sec-websocket-protocol", "").split(",")))),
        incoming.peer,
        incoming.host,
        incoming.secure,
        incoming.certificate,
        incoming.wants_websocket,
        head.target,
    )


def _decoded(path: str) -> str:
    """Of a target as well that is a whole URL (RFC 9112 §3.2.2)."""
    if not path.startswith("/"):
        with suppress(ValueError):  # "http://[": no host
            path = urlsplit(path).path or "/"
    return unquote(path)


def _credentials(value: str) -> list[str]:
    """User and password (RFC 7617)."""
    try:
        return b64decode(value).decode("utf-8", "replace").split(":", 1)
    except ValueError:
        return []


def _first(pairs: list[tuple[str, str]]) -> Mapping[str, str]:
    return MappingProxyType(dict(reversed(pairs)))


def _cookies(header: str) -> list[tuple[str, str]]:
    """RFC 6265 §5.4; what has no name is left out."""

    def pairs() -> Iterator[tuple[str, str]]:
        for item in header.split(";"):
            name, equals, value = item.strip().partition("=")
            if equals and name:
                yield name, value.strip('"')

    return list(pairs())
