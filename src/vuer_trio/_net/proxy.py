"""HTTP proxies: a tunnel by CONNECT (RFC 9110 §9.3.6)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import unquote

from .._formatting import shown_uri
from .address import Address, split
from .byte_stream import ByteStream
from .failure_reason import ProxyFailed, say_why
from .http_reply import read_reply
from .rejection import Rejected, basic_authorization, secrets_of_user

__all__ = ["Proxy", "find_proxy", "open_tunnel", "parse_proxy"]


@dataclass(frozen=True, slots=True, repr=False)
class Proxy:
    """``secure``: TLS to the proxy. ``authorization``: what its Proxy-Authorization is to be."""

    uri: str
    secure: bool
    host: str
    port: int
    user: tuple[str, str] | None = None

    @property
    def shown(self) -> str:
        """Without its password."""
        return shown_uri(self.uri)

    @property
    def authorization(self) -> str | None:
        """The value of Proxy-Authorization, if it wants one."""
        return None if self.user is None else basic_authorization(*self.user)

    @property
    def secrets(self) -> list[str]:
        """What of it is not to be shown."""
        return [] if self.user is None else secrets_of_user(*self.user)

    def __repr__(self) -> str:
        return f"<Proxy {self.shown}>"

    def failed(self, exc: Exception) -> ProxyFailed:
        """The error for not having reached it, because of ``exc``."""
        return ProxyFailed(f"the proxy {self.shown} could not be reached: {say_why(exc)}")


def find_proxy(address: Address) -> Proxy | None:
    """The proxy that the environment names for an address: HTTPS_PROXY, NO_PROXY, ...

    Raises ValueError, which names the variable.
    """
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(f"{address.host}:{address.port}"):
        return None
    proxies = getproxies()
    names = ("wss", "https") if address.secure else ("ws", "https", "http")
    name = next((name for name in names if name in proxies), None)
    return None if name is None else parse_proxy(proxies[name], _source(name, proxies[name]))


def _source(name: str, proxy: str) -> str:
    """Where `urllib.request.getproxies` has a proxy from."""
    for variable in (f"{name}_proxy", f"{name}_proxy".upper()):
        if os.environ.get(variable) == proxy:
            return f"{variable} in the environment"
    return f"the system's {name} proxy"


def parse_proxy(proxy: str, source: str = "proxy") -> Proxy:
    """Take a proxy's URL apart. ``source``: where it is from. Raises ValueError."""

    def wrong(why: str) -> ValueError:
        what = "an http:// or https:// URL of a proxy that speaks CONNECT"
        return ValueError(
            f"{source} must be {what}, got {shown_uri(proxy)!r}: {why}; use http://host:port"
        )

    scheme, slashes, _ = proxy.partition("://")
    scheme = scheme.strip().lower()
    if not slashes:
        raise wrong("it has no scheme")
    if scheme.startswith("socks"):
        raise wrong("SOCKS is not supported")
    if scheme not in ("http", "https"):
        raise wrong("that scheme is not supported")
    try:
        parts, port = split(proxy)
    except ValueError as exc:
        raise wrong(str(exc)) from None
    if not parts.hostname:
        raise wrong("it has no host")
    user = None
    if parts.username is not None:
        user = unquote(parts.username), unquote(parts.password or "")
    secure = scheme == "https"
    return Proxy(proxy, secure, parts.hostname, port or (443 if secure else 80), user)


async def open_tunnel(stream: ByteStream, address: Address, proxy: Proxy) -> None:
    """Ask the proxy at the other end of ``stream`` for a tunnel to ``address``.

    Raises Rejected when it says no or hangs up, and OSError.
    """
    host = f"[{address.bare_host}]" if ":" in address.host else address.host
    target = f"{host}:{address.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await stream.send_all("\r\n".join([*lines, "", ""]).encode("ascii"))
    try:
        reply = await read_reply(stream, f"the proxy {proxy.shown}", tunnel=True)
    except Rejected as exc:
        if exc.status != 407:
            raise
        hint = "write its user and password into the URL: http://user:password@host:port"
        raise Rejected(f"{exc}; {hint}", status=exc.status) from None
    if reply.rest:  # a server that is asked first has nothing to say yet
        raise Rejected("the proxy sent something after its answer, before it was asked for more")
