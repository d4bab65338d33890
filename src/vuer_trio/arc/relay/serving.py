"""A running relay, and how to run one."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..._connection.policies import Fifo, Policy
from ..._hosting.authorization import Authorization, Authorize
from ..._hosting.memory_limit import MemoryLimit
from ..._hosting.origins import Origins
from ..._hosting.places import Places
from ..._hosting.websocket_server import Refusal, WebSocketServer
from ..._interrupts import protected_block, protected_methods
from ..._nursery import background_service
from ..._runtime import Runtime, runtime
from ..._transport_name import TransportName
from ...bus import Bus
from ..rate_limit import RateLimit
from .member import BAD_TOKEN, INVALID_TOKEN, Member
from .options import REGISTER_LIMIT, RelayOptions
from .pages import Pages
from .registry import RegistrationLimit, Registry
from .shared_switch import SharedSwitch
from .switch import Switch

if TYPE_CHECKING:
    from ..._async_types import TaskStatus
    from ..._net.http_request import HttpRequest
    from ..._websocket.incoming_request import IncomingRequest

__all__ = ["Relay", "RelayOptions", "open_arc_relay", "serve_arc_relay"]

_VERSION = "0.1.0"  # of the protocol


@protected_methods
class Relay:
    """A running relay. Its ``url`` is what `ARCClient` takes."""

    def __init__(self, rt: Runtime, options: RelayOptions) -> None:
        from ..._websocket.accept import ListenOptions

        self.rt = rt
        self.options = options
        #: limits the memory that all connections hold together
        self.memory: MemoryLimit = MemoryLimit(options.max_buffered, "all agents")
        info = {
            "relay": "vuer-trio",
            "version": _VERSION,
            "capabilities": ["broadcast", "direct", "subscribe"],
            "extensions": [],
            "limits": {"max_message_size": options.max_message_size},
        }
        self._shared: SharedSwitch | None = None
        if options.bus is None:
            self.switch: Switch = Switch(info)
            self.registry: Registry = self._new_registry(rt.current_time)
        else:
            self._shared = SharedSwitch(rt, info, options.bus, self._new_registry, self._disconnect)
            self.switch, self.registry = self._shared, self._shared.registry
        self._places: Places[Member] = Places(rt, options.max_agents, options.agents_per_host)
        log, limit = _Application.log, options.register_limit
        authorization = None
        if options.authorize is not None:
            authorization = Authorization(
                rt, log, None, options.authorize, options.handshake_timeout
            )
        self._application = _Application(
            self,
            Pages(
                rt,
                self._register,
                None if limit is None else RegistrationLimit(rt, limit),
                options.register_secret,
                self.stats,
                authorization,
            ),
        )
        self._server: WebSocketServer[Member] = WebSocketServer(
            rt,
            self._application,
            ListenOptions(
                options.host,
                options.port,
                options.max_message_size,
                options.ssl_context,
                options.handshake_timeout,
                options.transport,
            ),
            Origins(options.origins, options.hosts, options.host),
            self._places,
            close_timeout=options.close_timeout,
            stall_timeout=options.stall_timeout,
            authorization=authorization,
            heartbeat=options.heartbeat,
        )

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """The addresses that it listens on: host and port, one for each address of ``host``."""
        return self._server.addresses

    @property
    def port(self) -> int:
        """The port in use."""
        return self.addresses[0][1]

    @property
    def url(self) -> str:
        """The URL for agents on this machine."""
        return self._server.url("http")

    def __repr__(self) -> str:
        return f"<Relay {self.url if self.addresses else 'not serving'}>"

    def stats(self) -> dict[str, Any]:
        """The content of ``/stats``."""
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
        """Forget an agent and its token, and close its connections with 4001. Returns whether the
        agent was known.
        """
        if self._shared is not None:
            return self._shared.revoke(agent_id)
        known = self.registry.revoke(agent_id)
        if known:
            self._disconnect(agent_id)
        return known

    def _disconnect(self, agent_id: str) -> None:
        for member in list(self._server.connections):
            if member.agent_id == agent_id:
                member.end(BAD_TOKEN, INVALID_TOKEN)

    def _new_registry(self, clock: Callable[[], float]) -> Registry:
        options = self.options
        return Registry(
            options.max_agents, options.agents_per_host, options.register_timeout, clock
        )

    async def _register(self, agent_id: object, where: str | None) -> tuple[str, str]:
        if self._shared is not None:
            return await self._shared.register(agent_id, where)
        return self.registry.register(agent_id, where)

    def owner(self, token: str) -> str | None:
        """The agent that owns a token, which is used now; None for an unknown one."""
        return self.registry.owner(token) if self._shared is None else self._shared.owner(token)

    async def look_up(self, token: str) -> None:
        """Time to hear of tokens that another relay has given out."""
        if self._shared is not None:
            await self._shared.look_up(token)

    def joined(self, member: Member) -> None:
        """A member has presented a valid token: it is no longer evicted for others."""
        assert member.agent_id is not None
        self._places.settle(member)
        self.switch.join(member.agent_id, member)

    def left(self, member: Member) -> None:
        """Its connection has ended."""
        assert member.agent_id is not None
        self.switch.leave(member.agent_id, member)
        if self._shared is None and not self.switch.connects(member.agent_id):
            self.registry.leave(member.agent_id)

    async def run(self, status: TaskStatus[Relay] | None = None) -> None:
        """See `serve_arc_relay`."""

        def started() -> None:
            self._application.log.info("serving at %s", self.url)
            if status is not None:
                status.started(self)

        if self._shared is None:
            await self._server.run(started)
            return
        async with self._shared.journal.block():
            await self._server.run(started)


@protected_methods
class _Application:
    """The `Application` of a relay's `WebSocketServer`."""

    name = "relay"
    limits = "max_agents= and max_agents_per_host="
    log: logging.Logger = logging.getLogger("vuer_trio.arc.relay")

    def __init__(self, relay: Relay, pages: Pages) -> None:
        self._relay = relay
        self._pages = pages

    async def answer(self, incoming: IncomingRequest, headers: Sequence[tuple[str, str]]) -> None:
        await self._pages.answer(incoming, headers)

    def forbid(self, why: str, status: int = 403) -> Refusal:
        body = json.dumps({"error": "forbidden", "message": why})
        return Refusal(status, body, "application/json")

    def refuse(self, request: HttpRequest) -> Refusal | None:
        there = request.target.partition("?")[0] == "/arc"
        return None if there else Refusal(400, "Bad Request")

    def new_connection(self, incoming: IncomingRequest) -> Member:
        return Member(self._relay, incoming)

    def give_way(self, member: Member) -> None:
        member.abort()  # it has not presented a valid token


async def serve_arc_relay(
    host: str | None = "localhost",
    port: int = 8080,
    *,
    max_message_size: int = 1 << 20,
    max_buffered: int = 1 << 30,
    rate_limit: RateLimit | None = None,
    register_limit: RateLimit | None = REGISTER_LIMIT,
    register_secret: str | None = None,
    register_timeout: float = 3600.0,
    authorize: Authorize | None = None,
    outbox: Policy = Fifo(65_536),
    max_agents: int = 10_000,
    max_agents_per_host: int | None = None,
    heartbeat: float = 20.0,
    stall_timeout: float = 10.0,
    close_timeout: float = 1.0,
    handshake_timeout: float = 10.0,
    origins: Iterable[str] | None = (),
    hosts: Iterable[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    transport: TransportName = "auto",
    bus: Bus | None = None,
    task_status: TaskStatus[Relay] | None = None,
) -> None:
    """Run a relay until cancelled: ``relay = await nursery.start(serve_arc_relay)``.

    ``relay`` has ``url``, ``port``, ``stats()`` and ``revoke(agent_id)``. ``/register``, ``/stats``
    and ``/arc`` share one port: ``host`` None means every interface, ``port`` 0 any free port.
    Tokens are kept in memory, so a restart forgets them.

    Messages: ``max_message_size`` is in bytes; a larger message closes its connection with 1009. A
    message of more than 131,072 JSON values, or nested more than 64 deep, is answered with an
    error. A connection that sends more than ``rate_limit`` allows is closed with 4029.

    Queues: ``outbox`` is the policy of each connection's outbox. When it is full, a `Fifo` closes
    the connection with 1008, and a `DropOldest` drops messages. A connection that reads nothing for
    ``stall_timeout`` while messages wait for it is closed with 1008 as well. ``max_buffered``
    (bytes) limits all waiting messages together; beyond it, the connection that holds the most is
    closed with 1013.

    Agents: ``max_agents`` limits both registered agents and connections, and
    ``max_agents_per_host`` (a quarter by default) those of one address. ``register_limit`` limits
    the registrations of each address, which are then answered with 429. With ``register_secret``,
    only clients that send it may register. An id that has not been used to connect within
    ``register_timeout`` is forgotten. When there is no room, such an id is evicted, or one that has
    not been connected for that time.

    ``authorize``, ``origins``, ``hosts`` and the timeouts (in seconds) are those of
    `vuer_trio.Vuer`. ``authorize`` is asked for connections, registrations and ``/stats``, in
    addition to tokens.

    Several processes: with ``bus=RedisBus("redis://...")``, all relays with that bus are one. An
    agent registers with one of them, connects to any, and reaches all. Each message goes through
    the bus, so that it is delivered once, and in order for each sender. Tokens are kept there, as
    hashes, and outlive a restart. A relay that dies loses its own agents alone; the others count
    them as gone after 15 s. While the bus is lost, messages wait; when there is no room for one,
    its sender gets an error ``relay_full``. All relays need the same limits of agents.

    Raises TypeError and ValueError for invalid options, OSError if it cannot listen, and
    ConnectionFailed if it cannot reach its bus. When it is cancelled, every connection is closed
    with 1001, within ``close_timeout`` and one second.
    """
    given = {name: value for name, value in locals().items() if name != "task_status"}
    await Relay(runtime(), RelayOptions(**given)).run(task_status)


@protected_block
async def open_arc_relay(
    host: str | None = "localhost", port: int = 0, **options: Any
) -> AsyncGenerator[Relay, None]:
    """Run a relay for the length of a block: ``async with open_arc_relay() as relay:``.

    ``port`` 0 is any free port. The other options, and what is raised, are those of
    `serve_arc_relay`.
    """
    rt = runtime()
    relay = Relay(rt, RelayOptions(host=host, port=port, **options))

    async def serve(*, task_status: TaskStatus[Relay]) -> None:
        await relay.run(task_status)

    async with background_service(rt, serve):
        yield relay
