"""HTTP proxies: a tunnel by CONNECT (RFC 9110 §9.3.6)."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from .address import Address, without_password
from .handshake import Rejected, basic_authorization
from .reply import read_reply
from .wire import Wire

__all__ = ["find_proxy", "open_tunnel", "parse_proxy"]


def find_proxy(address: Address) -> str | None:
    """The proxy that the environment names for an address: HTTPS_PROXY, NO_PROXY, ..."""
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(f"{address.host}:{address.port}"):
        return None
    proxies = getproxies()
    names = ("wss", "https") if address.secure else ("ws", "https", "http")
    return next((proxies[name] for name in names if name in proxies), None)


def parse_proxy(proxy: str) -> tuple[bool, str, int, str | None]:
    """(TLS to the proxy, host, port, its Proxy-Authorization). Raises ValueError."""
    wrong = f"proxy={without_password(proxy)!r}: write http://host:port or https://host:port"
    try:
        parts = urlsplit(proxy)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"{wrong}: {exc}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(wrong)
    secure = parts.scheme == "https"
    authorization = None
    if parts.username is not None:
        user = unquote(parts.username), unquote(parts.password or "")
        authorization = basic_authorization(*user)
    return secure, parts.hostname, port or (443 if secure else 80), authorization


async def open_tunnel(wire: Wire, address: Address, authorization: str | None) -> None:
    """Ask the proxy at the other end of ``wire`` for a tunnel to ``address``.

    Raises Rejected when it says no or hangs up, and OSError.
    """
    host = f"[{address.bare_host}]" if ":" in address.host else address.host
    target = f"{host}:{address.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if authorization is not None:
        lines.append(f"Proxy-Authorization: {authorization}")
    await wire.send_all("\r\n".join([*lines, "", ""]).encode("ascii"))
    reply = await read_reply(wire, "the proxy", tunnel=True)
    if reply.rest:  # a server that is asked first has nothing to say yet
        raise Rejected("the proxy sent something behind its answer, before it was asked for more")
