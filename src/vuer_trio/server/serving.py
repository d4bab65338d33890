"""A server while it runs: its sessions, and what they share."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from socket import socket
from typing import TYPE_CHECKING, Any, TypeVar

from .._connection.connection import Connection
from .._home import Home
from .._hosting.authorization import Authorization
from .._hosting.lagging import report_lagging
from .._hosting.memory_limit import MemoryLimit
from .._hosting.origins import Origins, is_this_machine
from .._hosting.places import Places
from .._hosting.websocket_server import Refusal, Service, WebSocketServer
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._web_client.installed import web_client
from .._websocket.frames import prepare
from .._websocket.transport import Prepared
from ..codec import make_encoder
from ..events import Event, ServerEvent
from .announcement import announce
from .automatic_tls import AutomaticTLS
from .banner import CERTIFICATE_PATH
from .client_location import client_location
from .file_options import CurrentFolder
from .metrics import CountedAuthorization, CountedOrigins, CountedPlaces, Metrics
from .metrics_page import METRICS_PATH, answer_metrics
from .offers import Offers
from .options import ServerOptions
from .pages import Pages
from .registered import Registered
from .session import VuerSession
from .session_runner import SessionRunner

if TYPE_CHECKING:
    from .._async_types import TaskStatus
    from .._net.http_request import HttpRequest
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["Serving"]

T = TypeVar("T")

#: how a device knows what the authority's certificate is
_CERTIFICATE = (
    ("content-type", "application/x-x509-ca-cert"),
    ("content-disposition", 'attachment; filename="vuer-trio-ca.pem"'),
    ("cache-control", "no-cache"),
)

#: sessions at a time that have lost their place to others, and are being closed
_GIVING_WAY = 64


@protected_methods
class Serving:
    """One run of a Vuer server: the `Application` of a `WebSocketServer`."""

    name = "server"
    limits = "max_sessions= and max_sessions_per_host="
    log: logging.Logger = logging.getLogger("vuer_trio.server")

    def __init__(
        self,
        registered: Registered,
        rt: Runtime,
        options: ServerOptions,
        sockets: Sequence[socket] = (),
    ) -> None:
        from .._websocket.accept import ListenOptions

        self.registered = registered
        self.rt = rt
        self.options = options
        self.home: Home = Home(rt, "this server")
        self._encode = make_encoder(options.floats, "ServerEvent")
        #: what all sessions hold
        self.memory: MemoryLimit = MemoryLimit(options.max_buffered, "all sessions")
        self._key = options.outbox.key_function(None)
        #: the open ones, the oldest first
        self.sessions: dict[VuerSession, None] = {}
        #: what is counted, with ``metrics=True``
        self.metrics: Metrics | None = Metrics(self.sessions) if options.metrics else None
        #: who counts against ``max_sessions``: not those that have given way and are about to go
        self._places: Places[SessionRunner] = self._counted(Places, CountedPlaces)(
            rt, options.max_sessions, options.sessions_per_host
        )
        self._giving_way: list[SessionRunner] = []
        self._authorization: Authorization | None = None
        if options.token is not None or options.authorize is not None:
            self._authorization = self._counted(Authorization, CountedAuthorization)(
                rt, self.log, options.token, options.authorize, options.handshake_timeout
            )
        self._tls: AutomaticTLS | None = None
        if options.tls is not None:
            self._tls = AutomaticTLS((options.host or "", *options.hosts), options.ca_cert)
        self._offers = Offers(rt, self.log, registered.streams)
        own = web_client() if options.client_root is None else None
        self._leads_to_socket = own is not None
        self._pages = Pages(
            rt,
            options.client_root or own,
            options.workspace,
            guarded=isinstance(options.workspace, CurrentFolder),
            offline=options.client_root is None,
            max_body=options.max_size,
        )
        self.server: WebSocketServer[SessionRunner] = WebSocketServer(
            rt,
            self,
            ListenOptions(
                options.host,
                options.port,
                options.max_size,
                options.tls_context() if self._tls is None else self._tls.context,
                options.handshake_timeout,
                options.transport,
                sockets,
            ),
            self._counted(Origins, CountedOrigins)(options.origins, options.hosts, options.host),
            self._places,
            close_timeout=options.close_timeout,
            stall_timeout=options.stall_timeout,
            authorization=self._authorization,
            heartbeat=options.heartbeat,
            services=self._services(),
        )

    def _counted(self, usual: type[T], counted: type[Any]) -> Callable[..., T]:
        """The class itself, or one that tells `metrics`, if there are any."""
        metrics = self.metrics
        if metrics is None:
            return usual

        def new(*args: Any) -> T:
            made: Any = counted(*args)
            made.metrics = metrics
            counting: T = made
            return counting

        return new

    def _services(self) -> Iterator[Service]:
        options = self.options
        yield self._offers.run
        yield partial(self._places.watch, options.init_timeout, self._turn_out)
        if options.outbox.lossless:  # the other policies keep no message for long
            yield partial(report_lagging, self.rt, self._open)
        if self._tls is not None:
            yield partial(self._tls.watch, self.rt)
        if options.mdns:
            yield self._announce

    async def _announce(self) -> None:
        if self.addresses:  # not of a server in memory
            await announce(self.rt, self.options.host, self.port, secure=self.options.secure)

    def _open(self) -> list[Connection]:
        return [session._connection for session in self.sessions]

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Where it listens: host and port, one for each address of ``host``."""
        return self.server.addresses

    @property
    def port(self) -> int:
        """The port in use."""
        return self.addresses[0][1]

    @property
    def uri(self) -> str:
        """For a client on this machine."""
        return self.server.url("ws")

    @property
    def files(self) -> str:
        """Which files of the workspace it serves, for people."""
        return str(self._pages)

    def encode(self, event: Event) -> bytes:
        """A message for the outbox of one session. Raises EncodeError."""
        message = self._encode(event)
        self.memory.count(len(message))
        return message

    def prepare(self, event: ServerEvent) -> Prepared:
        """A message for the outboxes of all sessions. Raises EncodeError."""
        message = self.memory.framed(prepare(self._encode(event)))
        if self._key is not None:
            message.key = self._key(event)
            hash(message.key)  # a TypeError is the caller's
        return message

    async def run(self, status: TaskStatus[Serving] | None = None) -> None:
        """As `WebSocketServer.run`; ``status.started(self)`` once it listens."""

        def started() -> None:
            self._pages.exposed = not all(is_this_machine(host) for host, _ in self.addresses)
            self.log.info("serving at %s; %s", self.uri, self._pages)
            self.registered.streams.serving.set()
            if status is not None:
                status.started(self)

        try:
            await self.server.run(started)
        finally:
            self.registered.streams.serving.clear()

    # ---- the server's view (Application)

    async def answer(self, incoming: IncomingRequest, headers: Sequence[tuple[str, str]]) -> None:
        routes, request = self.registered.routes, incoming.request
        has_route = routes.has(request.target)
        if self._tls is not None and request.target.partition("?")[0] == CERTIFICATE_PATH:
            await incoming.answer(200, [*_CERTIFICATE, *headers], self._tls.pem)
        elif self.metrics is not None and request.target.partition("?")[0] == METRICS_PATH:
            if await self._may_see(incoming, headers, True):
                authorized = self._authorization is not None
                await answer_metrics(incoming, self.metrics, headers, authorized=authorized)
        elif not await self._may_see(incoming, headers, has_route):
            return
        elif has_route:
            await routes.answer(self.rt, incoming, headers, self.options.request_max_size)
        elif self._offers.has(request.target):
            await self._offers.answer(incoming, headers)
        elif self._leads_to_socket and (location := client_location(incoming)):
            fields = [("location", location), ("cache-control", "no-store"), *headers]
            await incoming.answer(302, fields)
        else:
            await self._pages.answer(incoming, headers)

    async def _may_see(
        self, incoming: IncomingRequest, headers: Sequence[tuple[str, str]], has_route: bool
    ) -> bool:
        """Whether what is asked for may be given; if not, that has been answered. The web client is
        for everybody; and before a page of another origin asks with a token, its browser asks
        without one, by OPTIONS."""
        request = incoming.request
        target = request.target
        shows_data = has_route or self._offers.shows_data(target) or self._pages.shows_data(target)
        if self._authorization is None or request.method == "OPTIONS" or not shows_data:
            return True
        denial = await self._authorization.check(incoming)
        if denial is None:
            return True
        fields = [("content-type", "text/plain"), *headers]
        if denial.status == 401:
            fields.append(("www-authenticate", "Bearer"))
        await incoming.answer(denial.status, fields, denial.text.encode())
        return False

    def forbid(self, why: str, status: int = 403) -> Refusal:
        return Refusal(status, f"{why}\n")

    def refuse(self, request: HttpRequest) -> Refusal | None:
        return None  # sessions are at every path

    def new_connection(self, incoming: IncomingRequest) -> SessionRunner:
        runner = SessionRunner(self, incoming)
        if self.options.init_timeout != math.inf:
            runner.session._listener.hold()
        runner.session._on_init(partial(self._introduce, runner))
        return runner

    def give_way(self, runner: SessionRunner) -> None:
        """It may hear why it ends, but not keep its memory for long."""
        self.log.info("%s has sent no INIT, and gives way to another", runner.session.peer)
        leaving = [other for other in self._giving_way if other in self.server.connections]
        if len(leaving) >= _GIVING_WAY:
            leaving.pop(0).abort()
        self._giving_way = [*leaving, runner]
        runner.turn_out("no INIT was sent, and others want to get in")

    def _introduce(self, runner: SessionRunner) -> None:
        """Its INIT has been read."""
        self._places.settle(runner)
        self.registered.newest.join(runner.session._dispatcher)
        if self.options.init_timeout != math.inf:
            runner.session._listener.release()

    def _turn_out(self, runner: SessionRunner) -> None:
        timeout = self.options.init_timeout
        self.log.warning(
            "%s has sent no INIT within %g s, so its session ends; see init_timeout=",
            runner.session.peer,
            timeout,
        )
        if self.metrics is not None:
            self.metrics.refuse("init")
        runner.turn_out(f"no INIT was sent within {timeout:g} s")
