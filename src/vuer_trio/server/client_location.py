"""Where the web client of `vuer` is to be opened, so that it finds this server.

Left to itself it connects to port 443 if it came over TLS, and without the token of its page. It
goes where ``?ws=`` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

from .._hosting.origins import parse_authority

if TYPE_CHECKING:
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["PLAIN", "client_location", "socket_uri"]

#: what a URL's query may show as it is
PLAIN = ":/,.@"


def socket_uri(secure: bool, authority: str, token: str | None) -> str:
    """Of a server at ``authority``, a host and perhaps a port."""
    query = "" if token is None else f"?token={quote(token, safe='')}"
    return f"ws{'s' if secure else ''}://{authority}{query}"


def client_location(incoming: IncomingRequest) -> str | None:
    """Where a browser that asks for the page is to go instead, if it would not find the server."""
    request = incoming.request
    path, _, query = request.target.partition("#")[0].partition("?")
    asked = parse_qsl(query, keep_blank_values=True)
    names = dict(reversed(asked))
    token, host = names.get("token"), request.header("host") or ""
    if path != "/" or request.method not in ("GET", "HEAD") or "ws" in names:
        return None
    if not (incoming.secure or token) or parse_authority(host) is None:
        return None
    behind_tls = request.header("x-forwarded-proto") == "https"  # of a tunnel
    uri = socket_uri(incoming.secure or behind_tls, host, token)
    return f"/?{urlencode([*asked, ('ws', uri)], safe=PLAIN)}"
