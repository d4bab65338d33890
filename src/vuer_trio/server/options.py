"""The options of a server: documented names, the environment, and the names of the reference."""

from __future__ import annotations

import difflib
import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from .._client.options import (
    check_choice,
    check_policies,
    check_port,
    check_seconds,
    check_size,
    check_token,
)
from .._connection.policies import Fifo, Policy
from .._formatting import must_be
from .._hosting.authorization import Authorize, check_authorize
from .._hosting.origins import DEFAULT, check_hosts, check_origins, is_this_machine
from .._hosting.places import quarter
from .._transport_name import TransportName
from ..workspace import Workspace, WorkspaceConfig
from .announcement import check_announcement
from .certificates import server_context
from .file_options import CurrentFolder, take_workspace
from .metrics import check_metrics
from .reference_options import DEFAULT_DOMAIN, DEFAULT_OUTBOX, RENAMED, translate

__all__ = ["ServerOptions"]

#: bytes of what all sessions hold together
DEFAULT_MAX_BUFFERED = 1 << 30
_SECONDS = ("handshake_timeout", "init_timeout", "close_timeout", "heartbeat", "stall_timeout")
Path_ = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """All options of a server, checked. Times in seconds, sizes in bytes."""

    host: str | None
    port: int
    max_size: int
    inbox: Policy = Fifo(1024)
    outbox: Policy = DEFAULT_OUTBOX
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
    tls: Literal["auto"] | None = None
    mdns: bool = False
    token: str | None = field(default=None, repr=False)
    authorize: Authorize | None = None
    metrics: bool = False
    client_root: Path_ | None = None
    backend: Literal["auto", "trio", "asyncio"] = "auto"
    floats: Literal["double", "single"] = "double"
    transport: TransportName = "auto"
    # ---- files
    workspace: Workspace = field(default_factory=CurrentFolder)
    static_root: WorkspaceConfig = None
    workspace_path: str = ""

    # those of the reference, see `translate`
    request_max_size: int = 1 << 28
    domain: str = DEFAULT_DOMAIN
    client_url: str | None = None
    queries: Mapping[str, Any] | None = None
    web_port: int | None = None
    free_port: bool = False
    verbose: bool = False

    @classmethod
    def gather(cls, given: dict[str, Any]) -> ServerOptions:
        """Options from keywords. Raises TypeError and ValueError that name the option."""
        known = [option.name for option in fields(cls)]
        options = translate(given)
        unknown = [name for name in options if name not in known]
        if unknown:
            raise TypeError(_refusal(unknown, [*known, *given.keys() - set(unknown)]))
        hosts = options.get("hosts")
        if isinstance(hosts, Iterable) and not isinstance(hosts, str):
            options["hosts"] = tuple(hosts)  # it is asked more than once
        take_workspace(options)
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
            ("backend", ("auto", "trio", "asyncio")),
            ("floats", ("double", "single")),
            ("transport", get_args(TransportName)),
        ):
            check_choice(name, getattr(self, name), allowed)
        self._check_tls()
        check_token(self.token)
        check_authorize(self.authorize)
        if not isinstance(self.metrics, bool):
            raise TypeError(must_be("metrics", "a bool", self.metrics))
        if self.metrics:
            check_metrics()
        self._check_pages()
        if self.client_root is not None and not Path(self.client_root, "index.html").is_file():
            what = "a folder with an index.html in it"
            raise ValueError(must_be("client_root", what, str(self.client_root)))

    def _check_tls(self) -> None:
        if self.tls is not None:
            check_choice("tls", self.tls, ("auto",))
        if self.tls is not None and (self.cert is not None or self.key is not None):
            raise ValueError("tls='auto' makes a certificate, and cert= is one; use one of them")
        if self.cert is None and self.key is not None:
            raise ValueError("key= is the private key of a certificate; it needs cert=")
        if not self.secure and self.ca_cert is not None:
            raise ValueError("ca_cert= checks the certificates of clients; it needs cert= and key=")
        if not isinstance(self.mdns, bool):
            raise TypeError(must_be("mdns", "a bool", self.mdns))
        if self.mdns:
            check_announcement()
            if is_this_machine(self.host or ""):
                raise ValueError(
                    "mdns=True announces the server to other machines, which cannot reach "
                    f"host={self.host!r}; use host=None"
                )

    def _check_pages(self) -> None:
        """What the printed addresses are made of."""
        check_size("request_max_size", self.request_max_size)
        for name in ("domain", "client_url"):
            value = getattr(self, name)
            if not (isinstance(value, str) or (value is None and name == "client_url")):
                raise TypeError(must_be(name, "a URL, 'https://vuer.ai'", value))
        if self.queries is not None and not isinstance(self.queries, Mapping):
            what = "a dict for the query of the page's URL"
            raise TypeError(must_be("queries", what, self.queries, "use {'grid': False}"))
        if self.web_port is not None:
            check_port(self.web_port)

    @property
    def sessions_per_host(self) -> int:
        """How many one address may have."""
        return self.max_sessions_per_host or quarter(self.max_sessions)

    @property
    def secure(self) -> bool:
        """Whether it speaks TLS."""
        return self.cert is not None or self.tls is not None

    def tls_context(self) -> ssl.SSLContext | None:
        """The server's side of TLS, if there is a file of a certificate.

        Raises OSError, ssl.SSLError, which name the file.
        """
        if self.cert is None:
            return None
        return server_context(self.cert, self.key or self.cert, self.ca_cert)


def _refusal(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Of keywords that no server has, with the nearest of each."""
    names, nearest = list(unknown), list(known)
    near = [RENAMED.get(n) or difflib.get_close_matches(n, nearest, 1, 0.0)[0] for n in names]
    if len(names) == 1:
        return f"a server has no option {names[0]!r}; the nearest is {near[0]!r}"
    pairs = [f"{name!r} (nearest: {close!r})" for name, close in zip(names, near, strict=True)]
    return f"a server has no options {', '.join(pairs)}"
