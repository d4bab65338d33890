"""The address of a WebSocket server, taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from .._formatting import secrets_of, shown_uri
from .rejection import secrets_of_user

__all__ = ["Address", "parse_address", "split"]

#: the gen-delims and sub-delims of RFC 3987 §2.2, and "%": left as they are when an IRI is quoted
_SAFE = ":/?#[]@!$&'()*+,;=%"


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """``host`` without brackets, with the zone of an IPv6 address as the system writes it
    (``fe80::1%eth0``); ``resource`` is path and query, as the request line has it.

    ``resource`` and ``uri`` may hold secrets; `shown` and the repr do not.
    """

    uri: str
    secure: bool
    host: str
    port: int
    resource: str
    user: tuple[str, str] | None = None

    @property
    def shown(self) -> str:
        """The URI for messages and logs: without its password and the values of its query."""
        return shown_uri(self.uri)

    @property
    def secrets(self) -> list[str]:
        """The parts that must not be shown, as they are and as they are quoted."""
        found = secrets_of(self.resource.partition("?")[2])
        return found if self.user is None else [*found, *secrets_of_user(*self.user)]

    def __repr__(self) -> str:
        return f"<Address {self.shown}>"

    @property
    def bare_host(self) -> str:
        """The host without its zone, which means nothing to another machine (RFC 6874 §4)."""
        return self.host.partition("%")[0] if ":" in self.host else self.host

    @property
    def host_header(self) -> str:
        """The Host header: the port only where it is not the scheme's own (RFC 9110 §7.2)."""
        host = f"[{self.bare_host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def split(uri: str) -> tuple[SplitResult, int | None]:
    """A URI's parts, and its port. Raises ValueError, which does not quote the URI."""
    hint = "; in a password, / ? # and @ are written %2F %3F %23 and %40" if "@" in uri else ""
    try:
        parts = urlsplit(uri)
    except ValueError:
        what = "its [ and ] are not around an IPv6 address" if "[" in uri or "]" in uri else ""
        raise ValueError((what or "its host is not valid") + hint) from None
    try:
        return parts, parts.port
    except ValueError:
        raise ValueError(f"its port is not a number below 65536{hint}") from None


def _with_zone(host: str) -> str:
    """An IPv6 address with its zone as the system writes it: RFC 6874 puts %25 before it, people
    put the bare % there."""
    ip, percent, zone = host.partition("%")
    return ip + percent + (zone.removeprefix("25") or zone)


def parse_address(uri: str) -> Address:
    """Take ``ws://`` or ``wss://`` apart. Raises ValueError that says what is wrong with it."""

    def wrong(what: str) -> ValueError:
        return ValueError(
            f"uri must be a WebSocket URI, got {shown_uri(uri)!r}: {what}; use ws://host:port"
        )

    try:
        parts, port = split(uri)
    except ValueError as exc:
        raise wrong(str(exc)) from None
    if parts.scheme not in ("ws", "wss"):
        raise wrong(
            f"the scheme is {parts.scheme!r}"
            if parts.scheme and "//" in uri
            else "it has no scheme"
        )
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
