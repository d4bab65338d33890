"""The address of a WebSocket server, taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

__all__ = ["Address", "parse_address", "without_password"]

#: the gen-delims and sub-delims of RFC 3987 §2.2, and "%": left as they are when an IRI is quoted
_SAFE = ":/?#[]@!$&'()*+,;=%"


@dataclass(frozen=True, slots=True)
class Address:
    """``host`` without brackets, with the zone of an IPv6 address as the system writes it
    (``fe80::1%eth0``); ``resource`` is path and query, as the request line has it."""

    uri: str
    secure: bool
    host: str
    port: int
    resource: str
    user: tuple[str, str] | None = None

    @property
    def shown(self) -> str:
        """The URI without its password, for messages and logs."""
        return without_password(self.uri)

    @property
    def bare_host(self) -> str:
        """The host without its zone, which means nothing to another machine (RFC 6874 §4)."""
        return self.host.partition("%")[0] if ":" in self.host else self.host

    @property
    def host_header(self) -> str:
        """The Host header: the port only where it is not the scheme's own (RFC 9110 §7.2)."""
        host = f"[{self.bare_host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def without_password(uri: str) -> str:
    """A URI, or what was meant as one, as it may be shown."""
    scheme, slashes, rest = uri.partition("//")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    name = user.partition(":")[0]
    return scheme + slashes + (f"{name}:***@" if at else "") + host + slash + path


def _with_zone(host: str) -> str:
    """An IPv6 address with its zone as the system writes it: RFC 6874 puts %25 before it, people
    put the bare % there."""
    ip, percent, zone = host.partition("%")
    return ip + percent + (zone.removeprefix("25") or zone)


def parse_address(uri: str) -> Address:
    """Take ``ws://`` or ``wss://`` apart. Raises ValueError that says what is wrong with it."""

    def wrong(what: str) -> ValueError:
        return ValueError(
            f"{without_password(uri)!r} is no WebSocket URI: {what}; write ws://host:port"
        )

    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as exc:
        raise wrong(str(exc)) from None
    if parts.scheme not in ("ws", "wss"):
        raise wrong(f"the scheme is {parts.scheme!r}" if parts.scheme else "it has no scheme")
    if not parts.hostname:
        raise wrong("it has no host")
    if parts.fragment:
        raise wrong("it has a fragment")
    if any(ord(c) <= 32 for c in uri):
        raise wrong("it has white space")
    secure = parts.scheme == "wss"
    host = parts.hostname
    if ":" in host:
        host = _with_zone(host)
    try:
        host.encode("ascii")
    except UnicodeEncodeError:
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as exc:
            raise wrong(str(exc)) from None
    resource = quote(parts.path, safe=_SAFE) or "/"
    if parts.query:
        resource += "?" + quote(parts.query, safe=_SAFE)
    user = None
    if parts.username is not None:
        user = (unquote(parts.username), unquote(parts.password or ""))
    if port is None:
        port = 443 if secure else 80
    return Address(uri, secure, host, port, resource, user)
