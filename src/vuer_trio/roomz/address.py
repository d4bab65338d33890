"""Where a Roomz server is: one URL, for its HTTP and for its WebSocket."""

from __future__ import annotations

from dataclasses import dataclass

from .._transport.address import Address, parse_address, without_password

__all__ = ["Server", "parse_server"]

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


@dataclass(frozen=True, slots=True)
class Server:
    """``http`` is the base of its HTTP, without a slash at the end; ``shown`` has no password."""

    url: str
    http: str
    websocket: Address
    shown: str
    #: under what its session is kept
    key: str


def parse_server(url: str) -> Server:
    """Take a server's URL apart. Raises TypeError, and ValueError that says what is wrong."""
    if not isinstance(url, str):
        raise TypeError(f"server_url={url!r}: write a URL, 'http://localhost:8000'")
    scheme, slashes, rest = url.partition("://")
    scheme = scheme.lower()
    if not slashes or scheme not in _SCHEMES:
        raise ValueError(
            f"server_url={without_password(url)!r}: write http://host:port or https://host:port"
        )
    if "?" in rest or "#" in rest:
        raise ValueError(
            f"server_url={without_password(url)!r}: it ends with the host, the port or a path"
        )
    rest = rest.rstrip("/")
    secure = _SCHEMES[scheme] == "wss"
    websocket = parse_address(f"{_SCHEMES[scheme]}://{rest}/socket.io/?EIO=4&transport=websocket")
    http = f"{'https' if secure else 'http'}://{rest}"
    path = websocket.resource.partition("/socket.io/")[0]
    key = f"{'https' if secure else 'http'}://{websocket.host.lower()}:{websocket.port}{path}"
    return Server(url, http, websocket, without_password(http), key)
