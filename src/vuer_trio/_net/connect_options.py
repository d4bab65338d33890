"""What a dial needs to know."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .._transport_name import TransportName
from .address import Address
from .client_tls import TLSSessions
from .proxy import Proxy, find_proxy, parse_proxy

__all__ = ["ConnectOptions"]

#: characters of the value of any header; a shorter one may be an ordinary word
_TELLING = 8


@dataclass(frozen=True, slots=True, repr=False)
class ConnectOptions:
    """Checked options. ``tls`` None: for ``wss://``, a context of this library."""

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
    #: where TLS sessions come from, and go to; None: none is resumed
    sessions: TLSSessions | None = None

    def __repr__(self) -> str:
        return f"<Dialing {self.address.shown}>"

    def find_proxy(self) -> Proxy | None:
        """The proxy to go through, if any. Raises ValueError for an invalid one."""
        if self.proxy is True:
            return find_proxy(self.address)
        return None if self.proxy is None else parse_proxy(self.proxy)

    @property
    def secrets(self) -> list[str]:
        """What a message must not show, even if a peer sends it back: credentials, values of
        headers.
        """
        found = self.address.secrets
        for name, value in self.headers:
            found += _credentials(name.lower(), value)
        if isinstance(self.proxy, str):
            found += parse_proxy(self.proxy).secrets
        return found

    @property
    def server_name(self) -> str:
        """The name that the server's certificate must have."""
        return self.server_hostname or self.address.bare_host

    @property
    def secure(self) -> bool:
        """Whether to speak TLS: a stream that was given is used as it is."""
        return self.address.secure and self.stream is None


def _credentials(name: str, value: str) -> list[str]:
    """What of a header is not to be shown, whatever the header is called."""
    if name == "cookie":
        return [value, *(item.partition("=")[2].strip() for item in value.split(";"))]
    if name.endswith("authorization"):
        return [value, value.partition(" ")[2]]
    return [value] if len(value) >= _TELLING else []
