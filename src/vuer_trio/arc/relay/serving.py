"""A relay while it runs: the door, and the agents behind it."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from ..._link.budget import Budget
from ..._link.policy import Fifo, Latest, Policy
from ..._nursery import beside, open_plain_nursery
from ..._runtime import Runtime, runtime
from ..._transport.base import TransportName
from ...options import check_choice, check_seconds, check_size
from ..rate_limit import RateLimit, Window
from .member import BAD_TOKEN, INVALID_TOKEN, Member
from .pages import Pages
from .registry import Registry
from .switch import Switch

if TYPE_CHECKING:
    from ..._transport.knock import Knock

__all__ = ["Relay", "RelayOptions", "open_arc_relay", "serve_arc_relay"]

log = logging.getLogger("vuer_trio.arc.relay")

GOING_AWAY = (1001, "the relay is going away")
#: seconds, beyond ``close_timeout``, until a relay that was cancelled leaves its agents
_PATIENCE = 1.0
_VERSION = "0.1.0"  # of the protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """See `serve_arc_relay`."""

    host: str | None = "localhost"
    port: int = 8080
    max_message_size: int = 1 << 20
    max_buffered: int = 1 << 30
    rate_limit: RateLimit | None = None
    register_limit: RateLimit | None = None
    outbox: Policy = Fifo(65_536)
    max_agents: int = 10_000
    heartbeat: float = 20.0
    close_timeout: float = 1.0
    handshake_timeout: float = 10.0
    ssl_context: ssl.SSLContext | None = None
    transport: TransportName = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.port, bool) or not isinstance(self.port, int):
            raise TypeError(f"port={self.port!r}: write a number, 0 for any")
        if not 0 <= self.port < 65_536:
            raise ValueError(f"port={self.port}: write a number below 65536, 0 for any")
        check_size("max_message_size", self.max_message_size)
        check_size("max_agents", self.max_agents)
        check_size("max_buffered", self.max_buffered)
        check_seconds(self, ("heartbeat", "close_timeout", "handshake_timeout"))
        check_choice("transport", self.transport, get_args(TransportName))
        for name in ("rate_limit", "register_limit"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, RateLimit):
                raise TypeError(f"{name}={value!r}: write RateLimit(100, per=60), or None")
        if not isinstance(self.outbox, Policy) or isinstance(self.outbox, Latest):
            raise TypeError(f"outbox={self.outbox!r}: write Fifo(...) or DropOldest(...)")


class Relay:
    """A relay that runs. ``url`` is what `ARCClient` takes."""

    def __init__(self, rt: Runtime, options: RelayOptions) -> None:
        self.rt = rt
        self.options = options
        self.registry = Registry(options.max_agents)
        #: of what all connections hold
        self.budget = Budget(options.max_buffered, "all agents")
        self.switch = Switch(
            {
                "relay": "vuer-trio",
                "version": _VERSION,
                "capabilities": ["broadcast", "direct", "subscribe"],
                "extensions": [],
                "limits": {"max_message_size": options.max_message_size},
            }
        )
        #: where it listens: host and port, one for each address of ``host``
        self.addresses: Sequence[tuple[str, int]] = ()
        self._members: dict[Member, None] = {}
        self._closing = False
        self._nursery: Any = None
        limit = options.register_limit
        window = None if limit is None else Window(rt, limit)
        self._pages = Pages(rt, self.registry, window, self.stats)
        self._status: Any = None

    @property
    def port(self) -> int:
        """The port in use."""
        return self.addresses[0][1]

    @property
    def url(self) -> str:
        """For an agent on this machine."""
        scheme = "http" if self.options.ssl_context is None else "https"
        host = self.options.host or "localhost"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __repr__(self) -> str:
        return f"<Relay {self.url if self.addresses else 'not serving'}>"

    def stats(self) -> dict[str, Any]:
        """What ``/stats`` answers."""
        agents, registered = self.switch.agents, self.registry.agents
        return {
            "relay": {
                "connected": len(agents),
                "agents": agents,
                "subscriptions": self.switch.subscriptions,
            },
            "registry": {"registered": len(registered), "agents": registered},
        }

    def revoke(self, agent_id: str) -> bool:
        """Forget an agent and its token, and close its connections with 4001; whether there was
        one."""
        known = self.registry.revoke(agent_id)
        if known:
            for member in list(self._members):
                if member.agent_id == agent_id:
                    member.end(BAD_TOKEN, INVALID_TOKEN)
        return known

    def start_soon(self, fn: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Run something beside what runs; with the relay it ends."""
        self._nursery.start_soon(fn, *args)

    # ---- its life

    async def run(self, status: Any) -> None:
        """See `serve_arc_relay`."""
        from ..._transport.listen import listen
        from ..._transport.listening import Listening

        options = self.options
        listening = Listening(
            options.host,
            options.port,
            options.max_message_size,
            options.ssl_context,
            options.handshake_timeout,
            options.transport,
        )
        self._status = status
        async with open_plain_nursery(self.rt) as self._nursery:
            await listen(self.rt, listening, self._greet, self._started, self._close_at_the_end)

    def _started(self, addresses: Sequence[tuple[str, int]]) -> None:
        self.addresses = addresses
        log.info("serving at %s", self.url)
        self._status.started(self)

    async def _close_at_the_end(self) -> None:
        try:
            await self.rt.Event().wait()
        finally:
            self._closing = True
            patience = self.options.close_timeout + _PATIENCE
            deadline = self.rt.current_time() + patience
            with self.rt.CancelScope(shield=True, deadline=deadline):
                async with self.rt.open_nursery() as nursery:
                    for member in list(self._members):
                        nursery.start_soon(member.close, *GOING_AWAY)
            for member in list(self._members):
                member.abort()

    async def _greet(self, knock: Knock) -> None:
        request = knock.request
        if not knock.wants_websocket:
            await self._pages.answer(knock)
        elif request.target.partition("?")[0] != "/arc":
            await knock.answer(400, [("content-type", "text/plain")], b"Bad Request")
        elif self._closing or len(self._members) >= self.options.max_agents:
            await knock.answer(503, [("content-type", "text/plain")], b"This relay is full")
        else:
            member = Member(self, knock)
            self._members[member] = None
            try:
                # Its connection ends by its own close, in order, when the relay is cancelled.
                with self.rt.CancelScope(shield=True):
                    await member.run()
            finally:
                del self._members[member]


class _Ignored:
    def started(self, value: Any = None) -> None:
        """Nobody wants to know."""


async def serve_arc_relay(
    host: str | None = "localhost",
    port: int = 8080,
    *,
    max_message_size: int = 1 << 20,
    max_buffered: int = 1 << 30,
    rate_limit: RateLimit | None = None,
    register_limit: RateLimit | None = None,
    outbox: Policy = Fifo(65_536),
    max_agents: int = 10_000,
    heartbeat: float = 20.0,
    close_timeout: float = 1.0,
    handshake_timeout: float = 10.0,
    ssl_context: ssl.SSLContext | None = None,
    transport: TransportName = "auto",
    task_status: Any = None,
) -> None:
    """Be a relay until cancelled: ``relay = await nursery.start(serve_arc_relay)``.

    ``relay`` has ``url``, ``port``, ``stats()`` and ``revoke(agent_id)``. ``host`` None listens on
    every interface, ``port`` 0 is any free one; ``/register``, ``/stats`` and ``/arc`` are all
    there. ``max_message_size`` is in bytes: a larger message closes its connection with 1009; one
    of more than 131,072 JSON values, or nested more than 64 deep, is answered with an error.
    ``max_buffered`` (bytes) is what all messages that wait take together: beyond it the connection
    that holds the most ends with 1013.
    ``rate_limit`` is of each connection, which is closed with 4029 when it sends more;
    ``register_limit`` of all registrations together, answered with 429. ``outbox`` is what may wait
    for one connection: a full `Fifo` closes it with 1008, a `DropOldest` drops. ``max_agents``
    bounds the registered ones, and the connections. Times are seconds, as `vuer_trio.Vuer` has
    them. Tokens are kept in memory: a restart forgets them.

    Raises TypeError and ValueError for options that can not be, OSError if it can not listen.
    Cancelled: every connection is closed with 1001, within a second more than ``close_timeout``.
    """
    given = {name: value for name, value in locals().items() if name != "task_status"}
    await Relay(runtime(), RelayOptions(**given)).run(task_status or _Ignored())


@asynccontextmanager
async def open_arc_relay(
    host: str | None = "localhost", port: int = 0, **options: Any
) -> AsyncIterator[Relay]:
    """``async with open_arc_relay() as relay:`` serves while the block runs, at any free port.

    ``options`` are those of `serve_arc_relay`, whose errors it raises.
    """
    rt = runtime()
    relay = Relay(rt, RelayOptions(host=host, port=port, **options))

    async def serve(*, task_status: Any) -> None:
        await relay.run(task_status)

    async with beside(rt, serve):
        yield relay
