"""What a server prints when it starts: where it is, for the person who opens it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any
from urllib.parse import quote, urlsplit

from .._formatting import HIDDEN
from .._hosting.origins import is_this_machine
from .authority import authority_file
from .client_location import PLAIN, socket_uri
from .options import ServerOptions

__all__ = [
    "CERTIFICATE_PATH",
    "banner",
    "client_url",
    "network_address",
    "network_page_url",
    "page_url",
    "settings",
]

#: hosts that stand for all addresses of this machine; where it is asked for them, and from where
_EVERYWHERE: Mapping[str | None, str] = {
    None: "localhost",
    "": "localhost",
    "0.0.0.0": "localhost",
    "::": "::1",
}
#: addresses of nobody (RFC 5737, RFC 3849), by which the way out is found. Nothing is sent
_AWAY = {socket.AF_INET: ("192.0.2.1", 9), socket.AF_INET6: ("2001:db8::1", 9)}
#: where the authority's certificate is served, with ``tls="auto"``
CERTIFICATE_PATH = "/ca.pem"


def banner(
    options: ServerOptions, port: int, backend: str, workspace: Sequence[str] = ()
) -> list[str]:
    """The lines. ``workspace`` are the folders of which files are served."""
    hosts = _hosts(options)
    pages = [_page(options, host, port) for host in hosts]
    lines = [f"Vuer is at {socket_uri(options.secure, _at(hosts[0], port), None)}"]
    lines += _labelled("Local", pages[:1])
    lines += _labelled("Network", pages[1:])
    lines += _labelled("Client", _clients(options, hosts, port))
    lines += _labelled("Workspace", workspace)
    lines += _labelled("Backend", [backend])
    if options.tls is not None:
        base = f"https://{_at(hosts[-1], port)}{CERTIFICATE_PATH}"
        how = f"a device that trusts it shows no warning: open {base} there, once"
        lines += _labelled("Authority", [str(authority_file()), how])
        if options.host in _EVERYWHERE and not _is_guarded(options):
            who = "everybody in this network; with token= only who knows that"
            lines += _labelled("Access", [who])
    return lines


def page_url(options: ServerOptions, port: int) -> str:
    """This server's own page, for a browser on this machine."""
    return _page(options, _local(options.host), port)


def network_page_url(options: ServerOptions, port: int) -> str | None:
    """The same for another device in the network; None if none can reach it."""
    host = _hosts(options)[-1]
    return None if is_this_machine(host) else _page(options, host, port)


def settings(options: ServerOptions) -> list[str]:
    """Every option and its value, for ``verbose=True``."""
    values = {field: getattr(options, field.name) for field in fields(options)}
    return [
        f"{field.name:>22}: {value if field.repr or value is None else HIDDEN}"
        for field, value in values.items()
    ]


def client_url(options: ServerOptions, host: str, port: int) -> str:
    """Where the web client is, told to connect to this server as ``host``.

    Without the token if it comes from elsewhere: it would be sent there, in the request.
    """
    base = _client(options, host, port)
    token = options.token if _is_ours(base, options) else None
    return _with_query(base, [_ws(options, host, port, token), *_queries(options.queries)])


def _clients(options: ServerOptions, hosts: Sequence[str], port: int) -> list[str]:
    lines = [client_url(options, host, port) for host in hosts]
    others = {_client(options, host, port) for host in hosts}
    if options.token is not None and not all(_is_ours(base, options) for base in others):
        lines.append(
            "without the token, which would be sent to that host: it is in the lines above"
        )
    return lines


def _is_ours(page: str, options: ServerOptions) -> bool:
    """Whether a page comes from this machine, and not from somebody else's."""
    with suppress(ValueError):
        host = urlsplit(page).hostname
        return host is not None and (is_this_machine(host) or host in _hosts(options))
    return False


def _client(options: ServerOptions, host: str, port: int) -> str:
    base = options.client_url or options.domain
    if options.client_url:
        names = {
            "ssl": "s" if options.secure else "",
            "local_ip": network_address() or host,
            "host": host,
        }
        base = base.format(**names, port=port, web_port=options.web_port, domain=options.domain)
    return base


def network_address(family: int = socket.AF_INET) -> str | None:
    """The address of this machine that others in its network know it by; None if there is none."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(_AWAY[socket.AddressFamily(family)])
        found = str(probe.getsockname()[0])
        if not ipaddress.ip_address(found).is_unspecified:
            return found
    with suppress(OSError, ValueError):
        for *_, address in socket.getaddrinfo(socket.gethostname(), None, family):
            found = str(address[0])
            if not ipaddress.ip_address(found).is_loopback:
                return found
    return None


def _labelled(label: str, texts: Sequence[str]) -> list[str]:
    return [f"{f'{label}:' if n == 0 else '':<11}{text}" for n, text in enumerate(texts)]


def _local(host: str | None) -> str:
    return _EVERYWHERE.get(host) or str(host)


def _at(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _hosts(options: ServerOptions) -> list[str]:
    """By which it can be reached: from this machine, then perhaps from others."""
    hosts = [_local(options.host)]
    if options.host in _EVERYWHERE:
        family = socket.AF_INET6 if options.host == "::" else socket.AF_INET
        address = network_address(family)
        hosts += [] if address is None else [address]
    return hosts


def _is_guarded(options: ServerOptions) -> bool:
    guards = (options.token, options.authorize, options.ca_cert)
    return any(guard is not None for guard in guards)


def _ws(options: ServerOptions, host: str, port: int, token: str | None) -> str:
    uri = socket_uri(options.secure, _at(host, port), token)
    return f"ws={_quoted(uri)}"


def _page(options: ServerOptions, host: str, port: int) -> str:
    """This server's own page, or that of a development server beside it."""
    web_port = options.web_port or port
    base = f"http{'s' if options.secure else ''}://{_at(host, web_port)}"
    # what the page would not find by itself, see `client_location`
    told = web_port != port or options.secure or options.token is not None
    ws = [_ws(options, host, port, options.token)] if told else []
    return _with_query(base, [*ws, *_queries(options.queries)])


def _queries(queries: Mapping[str, Any] | None) -> list[str]:
    return [f"{_quoted(name)}={_quoted(value)}" for name, value in (queries or {}).items()]


def _quoted(value: object) -> str:
    return quote(str(value), safe=PLAIN)


def _with_query(base: str, parts: Sequence[str]) -> str:
    return f"{base}{'&' if '?' in base else '?'}{'&'.join(parts)}" if parts else base
