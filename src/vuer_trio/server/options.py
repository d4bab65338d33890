"""The options of a server: documented names, the environment, and the names of the reference."""

from __future__ import annotations

import difflib
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from .._client.options import (
    check_choice,
    check_policies,
    check_port,
    check_seconds,
    check_size,
    environment_int,
)
from .._connection.policies import Fifo, Policy
from .._formatting import must_be
from .._hosting.origins import DEFAULT, check_hosts, check_origins
from .._hosting.places import quarter
from .._transport_name import TransportName
from .certificates import server_context

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
    "domain": "hosts",
    "uri": "host",
    "WEBSOCKET_MAX_SIZE": "max_size",
    "REQUEST_MAX_SIZE": "max_size",
    "free_port": "port",
    "workspace": "client_root",
}
_SECONDS = ("handshake_timeout", "init_timeout", "close_timeout", "heartbeat", "stall_timeout")
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
    max_sessions_per_host: int | None = None
    max_buffered: int = DEFAULT_MAX_BUFFERED
    handshake_timeout: float = 10.0
    init_timeout: float = 10.0
    close_timeout: float = 1.0
    heartbeat: float = 20.0
    stall_timeout: float = 10.0
    origins: Iterable[str] | None = DEFAULT
    hosts: Iterable[str] = ()
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
        for name in ("origins", "hosts"):
            names = options.get(name)
            if isinstance(names, Iterable) and not isinstance(names, str):
                options[name] = tuple(names)  # it is asked more than once
        made = cls(**options)
        made._check()
        return made

    def _check(self) -> None:
        if self.host is not None and not isinstance(self.host, str):
            raise TypeError(must_be("host", "a str, or None for every interface", self.host))
        check_port(self.port)
        check_size("max_size", self.max_size)
        check_size("max_sessions", self.max_sessions)
        if self.max_sessions_per_host is not None:
            check_size("max_sessions_per_host", self.max_sessions_per_host)
        check_size("max_buffered", self.max_buffered)
        check_seconds(self, _SECONDS, positive=("heartbeat", "init_timeout"))
        check_policies(self)
        check_origins(self.origins)
        check_hosts(self.hosts)
        for name, allowed in (
            ("backend", ("trio", "asyncio")),
            ("floats", ("double", "single")),
            ("transport", get_args(TransportName)),
        ):
            check_choice(name, getattr(self, name), allowed)
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert= and key= go together: a certificate chain and its private key")
        if self.ca_cert is not None and self.cert is None:
            raise ValueError("ca_cert= checks the certificates of clients; it needs cert= and key=")
        if self.client_root is not None and not Path(self.client_root, "index.html").is_file():
            what = "a folder with an index.html in it"
            raise ValueError(must_be("client_root", what, str(self.client_root)))

    @property
    def sessions_per_host(self) -> int:
        """How many one address may have."""
        return self.max_sessions_per_host or quarter(self.max_sessions)

    def tls(self) -> ssl.SSLContext | None:
        """The server's side of TLS, if there is a certificate.

        Raises OSError, ssl.SSLError, which name the file.
        """
        if self.cert is None:
            return None
        assert self.key is not None
        return server_context(self.cert, self.key, self.ca_cert)
