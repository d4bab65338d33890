"""The names and addresses of this machine, for which a certificate is made."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

__all__ = ["machine_addresses", "machine_names"]

_LOOPBACK = ("127.0.0.1", "::1")


def machine_names(more: Iterable[str] = ()) -> list[str]:
    """Names and addresses of this machine, in order, each once: localhost, the host's name, that
    under ``.local``, all addresses, and ``more``.

    Names that cannot be in a certificate are left out.
    """
    own = socket.gethostname()
    short = own.partition(".")[0]
    names = ["localhost", own, short, f"{short}.local", *_LOOPBACK, *machine_addresses(), *more]
    return list(dict.fromkeys(filter(None, map(_normal, names))))


def machine_addresses() -> list[str]:
    """The addresses of this machine's network interfaces but loopback: IPv4 first, then IPv6, the
    link-local ones last. None in no network.

    Raises ImportError without the extra ``headset``.
    """
    try:
        import ifaddr
    except ImportError as error:
        raise ImportError(
            "tls='auto' and mdns=True need ifaddr: pip install 'vuer-trio[headset]'"
        ) from error
    found: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = set()
    try:
        for adapter in ifaddr.get_adapters():
            for entry in adapter.ips:
                text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
                found.add(ipaddress.ip_address(text.partition("%")[0]))
    except OSError:  # not even asking is possible
        return []
    inside = [address for address in found if not address.is_loopback]
    return [str(a) for a in sorted(inside, key=lambda a: (a.is_link_local, a.version, a))]


def _normal(name: str) -> str | None:
    """As it stands in a certificate; None for what cannot."""
    name = name.strip("[]").removesuffix(".").lower()
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    star = "*." if name.startswith("*.") else ""
    try:
        encoded = name.removeprefix("*.").encode("idna").decode("ascii")
    except UnicodeError:
        return None
    plain = encoded.replace("-", "").replace(".", "")
    is_name = plain.isalnum() and not encoded.startswith("-") and len(encoded) <= 253
    return star + encoded if is_name else None
