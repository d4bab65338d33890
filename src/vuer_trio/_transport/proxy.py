"""HTTP proxies: a tunnel by CONNECT (RFC 9110 §9.3.6), spoken by h11."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from .address import Address, without_password
from .handshake import Rejected, basic_authorization
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
    import h11

    host = f"[{address.host}]" if ":" in address.host else address.host
    target = f"{host}:{address.port}"
    fields = [("Host", target)]
    if authorization is not None:
        fields.append(("Proxy-Authorization", authorization))
    http = h11.Connection(h11.CLIENT)
    data = http.send(h11.Request(method="CONNECT", target=target, headers=fields))
    await wire.send_all((data or b"") + (http.send(h11.EndOfMessage()) or b""))
    try:
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                data = bytes(await wire.receive())
                if not data:
                    raise Rejected("the proxy closed the stream before it answered")
                http.receive_data(data)
            elif isinstance(event, h11.Response):
                break
    except h11.RemoteProtocolError as exc:
        raise Rejected(f"the proxy's answer is not HTTP: {exc}", cause=exc) from exc
    if not 200 <= event.status_code < 300:
        reason = event.reason.decode("latin-1")
        raise Rejected(
            f"the proxy answered HTTP {event.status_code} {reason}".rstrip(),
            status=event.status_code,
        )
