"""What a dial needs to know."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .address import Address
from .base import TransportName
from .proxy import find_proxy

__all__ = ["Dialing"]


@dataclass(frozen=True, slots=True)
class Dialing:
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

    @property
    def proxy_url(self) -> str | None:
        """The proxy to go through, if any."""
        return find_proxy(self.address) if self.proxy is True else self.proxy

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
