"""The headers of what goes through a proxy (RFC 9110 §7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .._hosting.origins import was_brought
from .._net.http_request import HttpRequest

__all__ = ["Fields", "passed_on", "request_fields"]

Fields = Sequence[tuple[str, str]]

#: of one connection only; further ones are named in Connection
_HOP_BY_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate"),
        *("proxy-authorization", "te", "trailer", "upgrade"),
    )
)
#: what no sender may have left out by naming it: the length of a body, and what it is judged by
_KEPT = {"content-length", "transfer-encoding", "host", "origin"}
#: what this proxy says itself
_OWN = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded")


def passed_on(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields that are for the other end. Names are in lower case.

    A length that the transfer coding overrides is left out: who relied on it would mistake a part
    of the body for another message (RFC 9112 §6.1).
    """
    given = [(name.lower(), value) for name, value in fields]
    named = {
        token.strip().lower()
        for name, value in given
        if name == "connection"
        for token in value.split(",")
    }
    named -= _KEPT
    if any(name == "transfer-encoding" for name, _ in given):
        named.add("content-length")
    return [field for field in given if field[0] not in _HOP_BY_HOP and field[0] not in named]


def request_fields(
    request: HttpRequest,
    host: str | None,
    *,
    secure: bool,
    own: Fields = (),
    server: str,
) -> list[tuple[str, str]]:
    """Those of a request to the server behind: its own Host and Origin, and who has sent it.

    ``host`` is the address of the client; ``own`` replaces the client's fields of these names;
    ``server`` is the Host header for a client that has sent none. A WebSocket is opened without
    extensions: compressed messages could not be recorded.
    """
    websocket = "websocket" in request.tokens("upgrade")
    replaced = {name.lower() for name, _ in own}
    fields = [
        (name, value)
        for name, value in passed_on(request.headers)
        if name not in _OWN
        and name not in replaced
        and not (websocket and name == "sec-websocket-extensions")
    ]
    fields += [(name.lower(), value) for name, value in own]
    if "host" not in dict(fields):
        fields.append(("host", server))
    fields += _told(request, host, secure)
    if websocket:
        return [*fields, ("connection", "Upgrade"), ("upgrade", "websocket")]
    return [*fields, ("connection", "close")]


def _told(request: HttpRequest, host: str | None, secure: bool) -> Iterator[tuple[str, str]]:
    before = request.header("x-forwarded-for")
    if not before and was_brought(request):
        before = "unknown"  # or it would come from the other proxy's address
    way = [part for part in (before, host or "unknown") if part]
    yield "x-forwarded-for", ", ".join(way)
    # A tunnel before this proxy may have spoken TLS.
    proto = "https" if secure else request.header("x-forwarded-proto") or "http"
    yield "x-forwarded-proto", proto
    called = request.header("host")
    if called is not None:
        yield "x-forwarded-host", called
