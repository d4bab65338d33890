"""Which web pages may talk to a server, and under which names it may be addressed.

A browser sends the origin of the page that makes a request (RFC 6454), and the host that it asks
(RFC 9110 §7.2). The owner of the page controls both: he can let a name of his own site resolve to
this machine (DNS rebinding), so that the two agree. Their agreement therefore proves something only
if the name cannot be his: an address, `localhost`, `*.local`, or a name that this server was given.

Of a browser's requests only GET and HEAD can lack an Origin, if they are not for a WebSocket: a
page that is opened, or what is embedded in one. Any other request without an Origin comes from a
program.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from .._formatting import must_be

if TYPE_CHECKING:
    from .._net.http_request import HttpRequest

__all__ = [
    "DEFAULT",
    "Origin",
    "Origins",
    "check_hosts",
    "check_origins",
    "is_from_here",
    "is_this_machine",
    "parse_authority",
    "shown",
    "was_brought",
]

#: the default of ``origins=`` of a Vuer server: the pages of the web client and its documentation.
#: Pages of this machine, and of the server itself, are always allowed
DEFAULT = ("https://vuer.ai", "https://docs.vuer.ai")

_PORTS = {"http": 80, "https": 443}
_HOST = r"\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9._-]{0,252}[a-z0-9_.])?"
_ORIGIN = re.compile(rf"([a-z][a-z0-9+.-]*)://({_HOST})(?::([0-9]{{1,5}}))?")
_AUTHORITY = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?")
_PATTERN = re.compile(r"(?:\*\.)?(?:[^\s*:/@\\\[\]]+)|\*|\[?[0-9a-f:.]+\]?", re.IGNORECASE)
#: who may show a page of the server in a frame (CSP level 3, §6.4.2), in addition to ``origins``
_FRAMES = (
    "frame-ancestors 'self' http://localhost:* https://localhost:* http://127.0.0.1:* "
    "https://127.0.0.1:*"
)
#: what proxies and tunnels add, beside ``X-Forwarded-...``
_BROUGHT = frozenset(("forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"))
#: characters of a header that are logged
_SHOWN = 100


class Origin(NamedTuple):
    """``host`` is in lower case, without brackets and without the dot of the root."""

    scheme: str
    host: str
    port: int


def parse_origin(text: str) -> Origin | None:
    """Parse an Origin header. Returns None for "null", and for what no browser sends."""
    found = _ORIGIN.fullmatch(text.lower()) if text.isascii() else None
    if found is None:
        return None
    scheme, name, digits = found.groups()
    host, port = _host(name), int(digits) if digits else _PORTS.get(scheme, 0)
    return None if host is None or port > 65_535 else Origin(scheme, host, port)


def parse_authority(text: str) -> tuple[str, int | None] | None:
    """Parse a Host header into name and port. Returns None if it is malformed."""
    found = _AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    if found is None:
        return None
    host, port = _host(found[1]), int(found[2]) if found[2] else None
    return None if host is None or (port or 0) > 65_535 else (host, port)


def _host(name: str) -> str | None:
    if name.startswith("["):
        try:
            return str(ipaddress.IPv6Address(name[1:-1]))
        except ValueError:
            return None
    name = name.removesuffix(".")
    return None if not name or ".." in name or name.endswith(".") else name


def shown(value: str) -> str:
    """A header's value as it may be logged: escaped and shortened."""
    return ascii(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")


class Origins:
    """The rules of one server. ``host`` is where it listens, None for every interface.

    ``origins`` None lets every page in. ``hosts`` are names of this server; ``*.example.com``
    stands for all names below one.
    """

    def __init__(
        self,
        origins: Iterable[str] | None,
        hosts: Iterable[str] = (),
        host: str | None = None,
    ) -> None:
        self._open = origins is None
        listed = tuple(origins or ())
        self._pages = {parse_origin(origin) for origin in listed}
        self._frames = None if origins is None else " ".join([_FRAMES, *listed])
        own = socket.gethostname()
        names = [_name(name) for name in (*hosts, host or "", own, own.partition(".")[0])]
        self._names = {name for name in names if name}
        self._ends = tuple(name[1:] for name in self._names if name.startswith("*"))

    def refusal(self, request: HttpRequest, *, secure: bool) -> str | None:
        """Why a request must be refused, and what to do about it; None if it is allowed.

        ``secure`` says that it came over TLS, where only names of this server's certificate get
        through.
        """
        if self._open:
            return None
        origin, host = request.header("origin"), request.header("host")
        if origin is not None:
            return self._refuse_page(origin, host)
        by_a_browser = request.method in ("GET", "HEAD") and host is not None
        if by_a_browser and "websocket" not in request.tokens("upgrade"):
            return self._refuse_name(host or "", secure)
        return None

    def headers(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Headers for the answer to an allowed request: which pages may read it, and which may show
        it in a frame, where a user could be tricked into clicking.
        """
        fields = [("vary", "Origin")]
        if self._frames is not None:
            fields.append(("content-security-policy", self._frames))
        origin = request.header("origin")
        if origin is not None and (origin == "null" or parse_origin(origin) is not None):
            fields.append(("access-control-allow-origin", origin))
        return fields

    def _refuse_page(self, origin: str, host: str | None) -> str | None:
        page = parse_origin(origin)
        if page is None:
            what = "a page without a site of its own" if origin == "null" else "no origin"
            return f"Origin: {shown(origin)} is {what}; origins=None lets every page in"
        if page in self._pages:
            return None
        if page.scheme in _PORTS:
            if is_this_machine(page.host):
                return None
            called = None if host is None else parse_authority(host)
            if called is not None and called[0] == page.host and _is_private(page.host):
                return None  # another server of this machine's, as on localhost
            if called == (page.host, page.port) or (
                called == (page.host, None) and page.port == _PORTS[page.scheme]
            ):
                if page.scheme == "https" or self._knows(page.host):
                    return None
                return _unknown(page.host)
        return (
            f"pages of {shown(origin)} may not talk to this server; to allow them, use "
            f"origins=[{shown(origin)}]"
        )

    def _refuse_name(self, host: str, secure: bool) -> str | None:
        called = parse_authority(host)
        if called is None:
            return f"Host: {shown(host)} is not a host name"
        return None if secure or self._knows(called[0]) else _unknown(called[0])

    def _knows(self, name: str) -> bool:
        """Whether the name can belong to nobody else."""
        return (
            is_this_machine(name)
            or _is_address(name)
            or (name.endswith(".local") and name != ".local")
            or name in self._names
            or "*" in self._names
            or name.endswith(self._ends)
        )


def _unknown(name: str) -> str:
    return (
        f"this server does not know itself by the name {shown(name)}, and any web site could lead "
        f"its own name here; if it is a name of this server, use hosts=[{shown(name)}]"
    )


def _name(name: str) -> str:
    """Normalise a name as `parse_authority` does."""
    name = name.lower().strip("[]").removesuffix(".")
    if not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("idna").decode("ascii")
    return str(ipaddress.ip_address(name)) if _is_address(name) else name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_private(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_private


def is_this_machine(name: str) -> bool:
    """Whether a host name, or an address, always refers to this machine."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def was_brought(request: HttpRequest) -> bool:
    """Whether a header says that a proxy or a tunnel has forwarded the request."""
    return any(n in _BROUGHT or n.startswith("x-forwarded-") for n, _ in request.headers)


def is_from_here(request: HttpRequest, peer: str | None, *, proxies: bool = False) -> bool:
    """Whether a request comes from this machine itself. ``peer`` is the address that it comes from,
    None for a stream without one. With ``proxies``, it may have been forwarded, if all addresses on
    its way are of this machine.

    A proxy that names this machine in ``Host`` and adds no header cannot be distinguished from a
    local program.
    """
    way = [] if peer is None else [peer]
    before = request.header("x-forwarded-for")
    if before is not None and proxies:
        way += [part.strip() for part in before.split(",")]
    elif any(name.startswith("x-forwarded-") for name, _ in request.headers):
        return False
    if not all(map(is_this_machine, way)) or any(name in _BROUGHT for name, _ in request.headers):
        return False
    host = request.header("host")
    called = None if host is None else parse_authority(host)
    return host is None or (called is not None and is_this_machine(called[0]))


def check_origins(origins: Iterable[str] | None) -> None:
    """Raises TypeError and ValueError."""
    if origins is None:
        return
    if isinstance(origins, str):
        raise TypeError(must_be("origins", "a list of str", origins, f"use [{origins!r}]"))
    for origin in origins:
        if not isinstance(origin, str):
            raise TypeError(
                must_be("each of origins", "a str", origin, "use 'https://example.com'")
            )
        if parse_origin(origin) is None:
            what = "a scheme, a host and perhaps a port"
            raise ValueError(must_be("each of origins", what, origin, "use 'https://example.com'"))


def check_hosts(hosts: Iterable[str]) -> None:
    """Raises TypeError and ValueError."""
    if isinstance(hosts, str) or not isinstance(hosts, Iterable):
        raise TypeError(must_be("hosts", "a list of names", hosts, "use ['robot.example']"))
    for host in hosts:
        if not isinstance(host, str):
            raise TypeError(must_be("each of hosts", "a str", host, "use 'robot.example'"))
        if not _PATTERN.fullmatch(host):
            what = "a name without scheme, port and path"
            hint = "use 'robot.example', '*.example.com' for all under it, or '*' for any"
            raise ValueError(must_be("each of hosts", what, host, hint))
