"""A relay while it runs: the door, and the agents behind it."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..._connection.connection import Connection
from ..._connection.policies import Fifo, Policy
from ..._hosting.memory_limit import MemoryLimit
from ..._hosting.origins import Origins
from ..._hosting.places import NoPlace, Places
from ..._hosting.stalls import end_stalled
from ..._hosting.visits import Visits
from ..._interrupts import protected_block, protected_methods
from ..._nursery import background_service, open_plain_nursery
from ..._runtime import Runtime, runtime
from ..._transport_name import TransportName
from ..rate_limit import RateLimit
from .member import BAD_TOKEN, INVALID_TOKEN, Member
from .options import REGISTER_LIMIT, RelayOptions
from .pages import Pages
from .registry import Registry
from .switch import Switch
from .windows import Windows

if TYPE_CHECKING:
    from ..._async_types import Nursery, TaskStatus
    from ..._websocket.incoming_request import IncomingRequest

__all__ = ["Relay", "RelayOptions", "open_arc_relay", "serve_arc_relay"]

log: logging.Logger = logging.getLogger("vuer_trio.arc.relay")

GOING_AWAY = (1001, "the relay is going away")
#: seconds, beyond ``close_timeout``, until a relay that was cancelled leaves its agents
_PATIENCE = 1.0
_VERSION = "0.1.0"  # of the protocol
#: plain HTTP requests at a time, answered and refused, and seconds that one may take
_VISITS, _VISIT_TIMEOUT = 256, 30.0


@protected_methods
class Relay:
    """A relay that runs. ``url`` is what `ARCClient` takes."""

    def __init__(self, rt: Runtime, options: RelayOptions) -> None:
        self.rt = rt
        self.options = options
        self.registry: Registry = Registry(
            options.max_agents, options.agents_per_host, options.register_timeout, rt.current_time
        )
        #: of what all connections hold
        self.memory: MemoryLimit = MemoryLimit(options.max_buffered, "all agents")
        self.switch: Switch = Switch(
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
        self._places: Places[Member] = Places(rt, options.max_agents, options.agents_per_host)
        self._origins = Origins(options.origins, options.hosts, options.host)
        self._visits, self._refusals = Visits(rt, _VISITS), Visits(rt, _VISITS)
        self._closing = False
        self._nursery: Nursery | None = None
        limit = options.register_limit
        windows = None if limit is None else Windows(rt, limit)
        self._pages = Pages(rt, self.registry, windows, options.register_secret, self.stats)
        self._status: TaskStatus[Relay] | None = None

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

    def start_soon(self, fn: Callable[..., Coroutine[Any, Any, object]], *args: Any) -> None:
        """Run something beside what runs; with the relay it ends."""
        assert self._nursery is not None
        self._nursery.start_soon(fn, *args)

    # ---- its life

    async def run(self, status: TaskStatus[Relay]) -> None:
        """See `serve_arc_relay`."""
        from ..._websocket.accept import listen
        from ..._websocket.listen_options import ListenOptions

        options = self.options
        listen_options = ListenOptions(
            options.host,
            options.port,
            options.max_message_size,
            options.ssl_context,
            options.handshake_timeout,
            options.transport,
        )
        self._status = status
        async with open_plain_nursery(self.rt) as self._nursery:
            await listen(
                self.rt,
                listen_options,
                self._greet,
                self._started,
                partial(end_stalled, self.rt, self._connections, options.stall_timeout),
                self._close_at_the_end,
            )

    def _started(self, addresses: Sequence[tuple[str, int]]) -> None:
        self.addresses = addresses
        log.info("serving at %s", self.url)
        assert self._status is not None
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

    def _connections(self) -> Iterable[Connection]:
        return [member._connection for member in self._members]

    async def _greet(self, incoming: IncomingRequest) -> None:
        request = incoming.request
        refusal = self._origins.refusal(request, secure=incoming.secure)
        if refusal is not None:
            log.warning("%s: refused: %s", incoming.peer, refusal)
            await self._refuse(incoming, 403, refusal, "forbidden")
        elif not incoming.wants_websocket:
            with self._visits.visit(_VISIT_TIMEOUT):
                await self._pages.answer(incoming, self._origins.headers(request))
        elif request.target.partition("?")[0] != "/arc":
            await self._refuse(incoming, 400, "Bad Request")
        elif self._closing:
            await self._refuse(incoming, 503, "This relay is going away")
        else:
            await self._let_in(incoming)

    async def _let_in(self, incoming: IncomingRequest) -> None:
        member = Member(self, incoming)
        try:
            out = self._places.enter(member, incoming.host)
        except NoPlace as exc:
            log.warning(
                "%s: refused: %s; see max_agents= and max_agents_per_host=", incoming.peer, exc
            )
            await self._refuse(incoming, 503, "This relay is full")
            return
        if out is not None:  # without a token that is good
            out.abort()
        self._members[member] = None
        try:
            # Its connection ends by its own close, in order, when the relay is cancelled.
            with self.rt.CancelScope(shield=True):
                await member.run()
        finally:
            del self._members[member]
            self._places.leave(member)

    def joined(self, member: Member) -> None:
        """Its token is good."""
        self._places.settle(member)

    async def _refuse(
        self, incoming: IncomingRequest, status: int, text: str, code: str = ""
    ) -> None:
        kind = "text/plain"
        if code:
            kind, text = "application/json", json.dumps({"error": code, "message": text})
        with self._refusals.visit(_VISIT_TIMEOUT):
            await incoming.answer(status, [("content-type", kind)], text.encode())


class _Ignored:
    def started(self, value: Any = None) -> None:
        """Nobody waits for this value."""


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
    task_status: TaskStatus[Relay] | None = None,
) -> None:
    """Be a relay until cancelled: ``relay = await nursery.start(serve_arc_relay)``.

    ``relay`` has ``url``, ``port``, ``stats()`` and ``revoke(agent_id)``. ``host`` None listens on
    every interface, ``port`` 0 is any free one; ``/register``, ``/stats`` and ``/arc`` are all
    there. ``max_message_size`` is in bytes: a larger message closes its connection with 1009; one
    of more than 131,072 JSON values, or nested more than 64 deep, is answered with an error.
    ``max_buffered`` (bytes) is what all messages that wait take together: beyond it the connection
    that holds the most ends with 1013.
    ``rate_limit`` is of each connection, which is closed with 4029 when it sends more;
    ``register_limit`` of the registrations of each address, answered with 429. With
    ``register_secret`` only who sends it may register. An id that has not connected within
    ``register_timeout`` seconds is forgotten; until then it gives way to others when there is no
    room. ``outbox`` is what may wait for one connection: a full `Fifo` closes it with 1008, a
    `DropOldest` drops. A connection of which nothing that waits for it is taken for
    ``stall_timeout`` ends with 1008, too. ``max_agents`` bounds the registered ones, and the
    connections; ``max_agents_per_host`` (a quarter) those of one address. ``origins`` and ``hosts``
    are as `vuer_trio.Vuer` has them, and so are times, in seconds. Tokens are kept in memory: a
    restart forgets them.

    Raises TypeError and ValueError for invalid options, OSError if it cannot listen.
    Cancelled: every connection is closed with 1001, within a second more than ``close_timeout``.
    """
    given = {name: value for name, value in locals().items() if name != "task_status"}
    await Relay(runtime(), RelayOptions(**given)).run(task_status or _Ignored())


@protected_block
async def open_arc_relay(
    host: str | None = "localhost", port: int = 0, **options: Any
) -> AsyncGenerator[Relay, None]:
    """``async with open_arc_relay() as relay:`` serves while the block runs, at any free port.

    ``options`` are those of `serve_arc_relay`, whose errors it raises.
    """
    rt = runtime()
    relay = Relay(rt, RelayOptions(host=host, port=port, **options))

    async def serve(*, task_status: TaskStatus[Relay]) -> None:
        await relay.run(task_status)

    async with background_service(rt, serve):
        yield relay
