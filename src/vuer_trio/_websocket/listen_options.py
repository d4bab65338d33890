"""What a server's listening needs to know."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from .._transport_name import TransportName

__all__ = ["ListenOptions"]


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """All of it, checked."""

    #: None: all interfaces
    host: str | None
    #: 0: any that is free, the same one on every address of the host
    port: int
    #: bytes of one received message
    max_size: int
    #: for TLS; None without
    context: ssl.SSLContext | None = None
    #: seconds for TLS and the HTTP request together, and again for the reply to be taken
    handshake_timeout: float = 10.0
    transport: TransportName = "auto"
