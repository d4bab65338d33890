"""The address of a Roomz server: one URL for HTTP and WebSocket."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._formatting import must_be, shown_uri
from .._net.address import Address, parse_address

__all__ = ["Server", "parse_server"]

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


@dataclass(frozen=True, slots=True)
class Server:
    """``http`` is the base URL without a trailing slash; ``shown`` has no password."""

    url: str = field(repr=False)
    http: str = field(repr=False)
    websocket: Address
    shown: str
    #: the key of its session in the cache
    key: str


def parse_server(url: str) -> Server:
    """Parse a server's URL. Raises TypeError, and ValueError that says what is wrong."""
    if not isinstance(url, str):
        hint = "use 'http://localhost:8000'"
        raise TypeError(must_be("server_url", "a str", url, hint, secret=True))
    scheme, slashes, rest = url.partition("://")
    scheme = scheme.lower()
    if not slashes or scheme not in _SCHEMES:
        what = "an http:// or https:// URL"
        raise ValueError(must_be("server_url", what, shown_uri(url), "use http://host:port"))
    if "?" in rest or "#" in rest:
        what = "a URL that ends with the host, the port or a path"
        hint = "in a password, / ? # and @ are written %2F %3F %23 and %40" if "@" in rest else ""
        raise ValueError(must_be("server_url", what, shown_uri(url), hint))
    rest = rest.rstrip("/")
    secure = _SCHEMES[scheme] == "wss"
    websocket = parse_address(f"{_SCHEMES[scheme]}://{rest}/socket.io/?EIO=4&transport=websocket")
    http = f"{'https' if secure else 'http'}://{rest}"
    path = websocket.resource.partition("/socket.io/")[0]
    key = f"{'https' if secure else 'http'}://{websocket.host.lower()}:{websocket.port}{path}"
    return Server(url, http, websocket, shown_uri(http), key)
