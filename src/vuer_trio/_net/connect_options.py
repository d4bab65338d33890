"""What a dial needs to know."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .._transport_name import TransportName
from .address import Address
from .proxy import Proxy, find_proxy, parse_proxy

__all__ = ["ConnectOptions"]

#: characters of the value of any header; a shorter one may be an ordinary word
_TELLING = 8


@dataclass(frozen=True, slots=True, repr=False)
class ConnectOptions:
    """All of it, checked. ``tls`` None: a context is made for ``wss://``."""

    address: Address
    max_size: int
    transport: TransportName = "auto"
    headers: Sequence[tuple[str, str]] = ()
    tls: ssl.SSLContext | None = None
    verify: bool = True
    server_hostname: str | None = None
    proxy: str | Literal[True] | None = None
    compression: Literal["deflate"] | None = None
    subprotocols: Sequence[str] | None = None
    origin: str | None = None
    stream: Any = None
    #: why no redirect to another origin is followed; None: they are, without credentials
    stays: str | None = None

    def __repr__(self) -> str:
        return f"<Dialing {self.address.shown}>"

    def find_proxy(self) -> Proxy | None:
        """The proxy to go through, if any. Raises ValueError for an invalid one."""
        if self.proxy is True:
            return find_proxy(self.address)
        return None if self.proxy is None else parse_proxy(self.proxy)

    @property
    def secrets(self) -> list[str]:
        """What a message is not to show, whoever sends it back: credentials, values of headers."""
        found = self.address.secrets
        for name, value in self.headers:
            found += _credentials(name.lower(), value)
        if isinstance(self.proxy, str):
            found += parse_proxy(self.proxy).secrets
        return found

    @property
    def server_name(self) -> str:
        """What the server's certificate is to be for."""
        return self.server_hostname or self.address.bare_host

    @property
    def context(self) -> ssl.SSLContext | None:
        """For TLS to the server; None without."""
        if not self.address.secure or self.stream is not None:
            return None
        if self.tls is not None:
            return self.tls
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _credentials(name: str, value: str) -> list[str]:
    """What of a header is not to be shown, whatever the header is called."""
    if name == "cookie":
        return [value, *(item.partition("=")[2].strip() for item in value.split(";"))]
    if name.endswith("authorization"):
        return [value, value.partition(" ")[2]]
    return [value] if len(value) >= _TELLING else []
