"""The options of a server: documented names, the environment, and the names of the reference."""

from __future__ import annotations

import difflib
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from .._link.policy import Fifo, Policy
from .._transport.base import TransportName
from ..options import check_policies, check_seconds, check_size, environment_int
from .origins import DEFAULT, check_origins

__all__ = ["ServerOptions"]

DEFAULT_PORT = 8012
#: bytes: of one message, and of what all sessions hold together
DEFAULT_MAX_SIZE, DEFAULT_MAX_BUFFERED = 1 << 24, 1 << 30
#: keyword of the reference: option here
_NEAREST = {
    "queue_len": "outbox",
    "static_root": "client_root",
    "cors": "origins",
    "cors_origins": "origins",
    "domain": "origins",
    "uri": "host",
    "WEBSOCKET_MAX_SIZE": "max_size",
    "REQUEST_MAX_SIZE": "max_size",
    "free_port": "port",
    "workspace": "client_root",
}
_SECONDS = ("handshake_timeout", "close_timeout", "heartbeat")
Path_ = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """All options of a server, checked. Times in seconds, sizes in bytes."""

    host: str | None
    port: int
    max_size: int
    inbox: Policy = Fifo(1024)
    outbox: Policy = Fifo(65_536)
    max_sessions: int = 1000
    max_buffered: int = DEFAULT_MAX_BUFFERED
    handshake_timeout: float = 10.0
    close_timeout: float = 1.0
    heartbeat: float = 20.0
    origins: Iterable[str] | None = DEFAULT
    cert: Path_ | None = None
    key: Path_ | None = None
    ca_cert: Path_ | None = None
    client_root: Path_ | None = None
    backend: Literal["trio", "asyncio"] = "trio"
    floats: Literal["double", "single"] = "double"
    transport: TransportName = "auto"

    @classmethod
    def gather(cls, given: dict[str, Any]) -> ServerOptions:
        """Options from keywords. Raises TypeError and ValueError that name the option."""
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1, 0.0)
                nearest = _NEAREST.get(name) or close[0]
                raise TypeError(f"a server has no option {name!r}; the nearest is {nearest!r}")
        options = dict(given)
        if options.get("port") is None:
            options["port"] = environment_int("VUER_PORT", DEFAULT_PORT)
        if options.get("max_size") is None:
            options["max_size"] = environment_int("WEBSOCKET_MAX_SIZE", DEFAULT_MAX_SIZE)
        origins = options.get("origins")
        if isinstance(origins, Iterable) and not isinstance(origins, str):
            options["origins"] = tuple(origins)  # it is asked more than once
        made = cls(**options)
        made._check()
        return made

    def _check(self) -> None:
        if self.host is not None and not isinstance(self.host, str):
            raise TypeError(f"host={self.host!r}: write a string, or None for every interface")
        if isinstance(self.port, bool) or not isinstance(self.port, int):
            raise TypeError(f"port={self.port!r}: write a number, 0 for any")
        if not 0 <= self.port < 65_536:
            raise ValueError(f"port={self.port}: write a number below 65536, 0 for any")
        check_size("max_size", self.max_size)
        check_size("max_sessions", self.max_sessions)
        check_size("max_buffered", self.max_buffered)
        check_seconds(self, _SECONDS)
        check_policies(self)
        check_origins(self.origins)
        for name, allowed in (
            ("backend", ("trio", "asyncio")),
            ("floats", ("double", "single")),
            ("transport", get_args(TransportName)),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: write one of {allowed}")
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert= and key= go together: a certificate chain and its private key")
        if self.ca_cert is not None and self.cert is None:
            raise ValueError("ca_cert= checks the certificates of clients; it needs cert= and key=")
        if self.client_root is not None and not Path(self.client_root, "index.html").is_file():
            raise ValueError(
                f"client_root={str(self.client_root)!r}: there is no index.html in that folder"
            )

    def tls(self) -> ssl.SSLContext | None:
        """The server's side of TLS, if there is a certificate. Raises OSError, ssl.SSLError."""
        if self.cert is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        if self.ca_cert is not None:
            context.load_verify_locations(self.ca_cert)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
