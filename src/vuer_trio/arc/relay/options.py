"""The validated options of a relay."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import get_args

from ..._client.options import (
    check_choice,
    check_context,
    check_port,
    check_seconds,
    check_size,
    check_token,
)
from ..._connection.policies import Fifo, Latest, Policy
from ..._formatting import must_be
from ..._hosting.authorization import Authorize, check_authorize
from ..._hosting.origins import check_hosts, check_origins
from ..._hosting.places import quarter
from ..._transport_name import TransportName
from ...bus import Bus
from ..rate_limit import RateLimit

__all__ = ["REGISTER_LIMIT", "RelayOptions"]

#: registrations per address; high enough for a swarm of agents starting on one machine
REGISTER_LIMIT = RateLimit(1000, per=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """See `serve_arc_relay`."""

    host: str | None = "localhost"
    port: int = 8080
    max_message_size: int = 1 << 20
    max_buffered: int = 1 << 30
    rate_limit: RateLimit | None = None
    register_limit: RateLimit | None = REGISTER_LIMIT
    register_secret: str | None = field(default=None, repr=False)
    register_timeout: float = 3600.0
    authorize: Authorize | None = None
    outbox: Policy = Fifo(65_536)
    max_agents: int = 10_000
    max_agents_per_host: int | None = None
    heartbeat: float = 20.0
    stall_timeout: float = 10.0
    close_timeout: float = 1.0
    handshake_timeout: float = 10.0
    origins: Iterable[str] | None = ()
    hosts: Iterable[str] = ()
    ssl_context: ssl.SSLContext | None = None
    transport: TransportName = "auto"
    bus: Bus | None = None

    def __post_init__(self) -> None:
        check_port(self.port)
        check_size("max_message_size", self.max_message_size)
        check_size("max_agents", self.max_agents)
        if self.max_agents_per_host is not None:
            check_size("max_agents_per_host", self.max_agents_per_host)
        check_size("max_buffered", self.max_buffered)
        times = ("heartbeat", "stall_timeout", "close_timeout", "handshake_timeout")
        check_seconds(
            self,
            (*times, "register_timeout"),
            positive=("heartbeat", "register_timeout"),
        )
        check_token(self.register_secret, "register_secret")
        check_authorize(self.authorize)
        check_origins(self.origins)
        check_hosts(self.hosts)
        check_choice("transport", self.transport, get_args(TransportName))
        for name in ("rate_limit", "register_limit"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, RateLimit):
                raise TypeError(must_be(name, "RateLimit(100, per=60), or None", value))
        if not isinstance(self.outbox, Policy) or isinstance(self.outbox, Latest):
            raise TypeError(must_be("outbox", "Fifo(...) or DropOldest(...)", self.outbox))
        if self.bus is not None and not isinstance(self.bus, Bus):
            raise TypeError(must_be("bus", "a RedisBus, or None", self.bus))
        check_context("ssl_context", self.ssl_context, server=True)

    @property
    def agents_per_host(self) -> int:
        """The limit of agents and connections per address."""
        return self.max_agents_per_host or quarter(self.max_agents)
