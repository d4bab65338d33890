"""A running proxy: it listens as a Vuer server does, and passes on the requests that it accepts."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from .._connection.observers import Observer, Observers, add_observer
from .._hosting.origins import Origins, parse_authority
from .._hosting.places import NoPlace, Places
from .._hosting.visits import Visits
from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream
from .._net.http_request import BadRequest
from .._nursery import open_plain_nursery
from .._runtime import Runtime
from ..server.automatic_tls import AutomaticTLS
from ..server.banner import CERTIFICATE_PATH
from ..server.client_location import PLAIN, socket_uri
from ..server.options import ServerOptions
from .early_bytes import EarlyBytes
from .exchange import Exchange, Switched
from .tunnel import Tunnel
from .unreachable_page import unreachable
from .upstream import Unreachable, Upstream

if TYPE_CHECKING:
    from .._async_types import TaskStatus
    from .._websocket.incoming_request import IncomingRequest

__all__ = ["Proxy"]

log: logging.Logger = logging.getLogger("vuer_trio.proxy")

Fields = Sequence[tuple[str, str]]

#: HTTP requests at a time; for one more the oldest is given up
_VISITS = 256
#: seconds for a client to read why it was refused
_REFUSAL_TIMEOUT = 30.0
#: seconds that closing a stream may take when the task is cancelled
_CLEANUP = 1.0
_TEXT = ("content-type", "text/plain; charset=utf-8")
_CERTIFICATE = (
    ("content-type", "application/x-x509-ca-cert"),
    ("content-disposition", 'attachment; filename="vuer-trio-ca.pem"'),
    ("cache-control", "no-cache"),
)


@protected_methods
class Proxy:
    """`run` it once. It uses the ``options`` for listening, TLS, host names and limits, and
    ``max_size`` as the size of the largest message that observers get.

    A connection of which one side takes nothing for ``stall_timeout`` seconds is closed.
    """

    def __init__(
        self,
        rt: Runtime,
        upstream: Upstream,
        options: ServerOptions,
        *,
        stall_timeout: float = 120.0,
    ) -> None:
        from .._websocket.accept import ListenOptions

        self._rt = rt
        self._upstream = upstream
        self._stall_timeout = stall_timeout
        self._max_size = options.max_size
        self._origins = Origins(options.origins, options.hosts, options.host)
        self._tls: AutomaticTLS | None = None
        if options.tls is not None:
            self._tls = AutomaticTLS((options.host or "", *options.hosts), options.ca_cert)
        self._listen = ListenOptions(
            options.host,
            options.port,
            options.max_size,
            options.tls_context() if self._tls is None else self._tls.context,
            options.handshake_timeout,
        )
        self._places: Places[IncomingRequest] = Places(
            rt, options.max_sessions, options.sessions_per_host
        )
        self._visits, self._refusals = Visits(rt, _VISITS), Visits(rt, _VISITS)
        self._observers: Observers = []
        self._fault: str | None = None  # why the server behind is out of reach, once that is said
        #: where it listens: host and port, one for each address of ``host``
        self.addresses: Sequence[tuple[str, int]] = ()
        #: WebSockets that are open, and that have been
        self.open: int = 0
        self.opened: int = 0

    def __repr__(self) -> str:
        return f"<Proxy to {self.peer}, {self.open} open>"

    @property
    def peer(self) -> str:
        """The URI of the server behind it, as `Recorder` notes it."""
        return self._upstream.address.shown

    @property
    def port(self) -> int:
        """The port in use."""
        return self.addresses[0][1]

    def observe(self, fn: Observer) -> Callable[[], None]:
        """Call ``fn(direction, messages)`` with the messages of WebSockets that open from now on.

        The direction is the server's: "received" is what a client sends. Messages are shown before
        they are passed on. Returns a function that removes ``fn``.
        """
        return add_observer(self._observers, fn)

    async def run(self, *, task_status: TaskStatus[Proxy] | None = None) -> None:
        """Serve until cancelled; ``task_status.started(self)`` once it listens.

        Enter a recorder before calling it, and leave it afterwards. Raises OSError if it cannot
        listen. Cancelled: open WebSockets are closed with 1001 on both sides, within little more
        than a second, and other answers are cut.
        """
        from .._websocket.accept import listen  # imported here: only who serves needs it

        def bound(addresses: Sequence[tuple[str, int]]) -> None:
            self.addresses = addresses
            log.info("a proxy to %s listens at port %d", self.peer, self.port)
            if task_status is not None:
                task_status.started(self)

        services = [] if self._tls is None else [self._watch_certificate]
        await listen(self._rt, self._listen, self._greet, bound, *services)

    async def _watch_certificate(self) -> None:
        assert self._tls is not None
        await self._tls.watch(self._rt)

    # ---- requests

    async def _greet(self, incoming: IncomingRequest) -> None:
        """Answer one request, whatever it is for."""
        try:
            await self._answer(incoming)
        except OSError as exc:
            log.debug("%s: %s", incoming.peer, exc)

    async def _answer(self, incoming: IncomingRequest) -> None:
        from .._websocket.upgrade import find_fault

        request = incoming.request
        forbidden = self._origins.refusal(request, secure=incoming.secure)
        if forbidden is not None:
            log.warning("%s: refused: %s", incoming.peer, forbidden)
            await self._refuse(incoming, 403, f"{forbidden}\n")
        elif request.method in ("CONNECT", "TRACE"):
            await self._refuse(incoming, 405, f"{request.method} is not passed on\n")
        elif self._tls is not None and request.target.partition("?")[0] == CERTIFICATE_PATH:
            await incoming.answer(200, _CERTIFICATE, self._tls.pem)
        elif not incoming.wants_websocket:
            await self._pass_page(incoming)
        elif (fault := find_fault(request)) is not None:
            await self._refuse(incoming, fault.status, f"{fault.why}\n", fault.headers)
        else:
            await self._pass_websocket(incoming)

    async def _pass_page(self, incoming: IncomingRequest) -> None:
        if (location := self._page_location(incoming)) is not None:
            await incoming.answer(302, [("location", location), ("cache-control", "no-store")])
            return
        with self._visits.visit(math.inf):
            await self._forward(incoming)

    async def _pass_websocket(self, incoming: IncomingRequest) -> None:
        try:
            out = self._places.enter(incoming, incoming.host)
        except NoPlace as exc:
            log.warning("%s: refused: %s", incoming.peer, exc)
            await self._refuse(incoming, 503, "this proxy is full, try again later\n")
            return
        assert out is None  # all are settled
        self._places.settle(incoming)
        try:
            await self._forward(incoming)
        finally:
            self._places.leave(incoming)

    async def _refuse(
        self, incoming: IncomingRequest, status: int, text: str, more: Fields = ()
    ) -> None:
        with self._refusals.visit(_REFUSAL_TIMEOUT):
            await incoming.answer(status, [_TEXT, *more], text.encode())

    def _page_location(self, incoming: IncomingRequest) -> str | None:
        """Where a browser is to go for the web client, which would not find its way through TLS;
        see `client_location`."""
        request = incoming.request
        path, _, query = request.target.partition("#")[0].partition("?")
        asked = parse_qsl(query, keep_blank_values=True)
        names = dict(reversed(asked))
        host = request.header("host") or ""
        if not (incoming.secure or self._upstream.address.secure) or parse_authority(host) is None:
            return None
        if path != "/" or request.method not in ("GET", "HEAD") or "ws" in names:
            return None
        behind_tls = request.header("x-forwarded-proto") == "https"  # of a tunnel
        uri = socket_uri(incoming.secure or behind_tls, host, names.get("token"))
        return f"/?{urlencode([*asked, ('ws', uri)], safe=PLAIN)}"

    # ---- passing on

    async def _forward(self, incoming: IncomingRequest) -> None:
        down, data = incoming.take()
        early = EarlyBytes(down, data)
        up: ByteStream | None = None
        try:
            async with open_plain_nursery(self._rt) as nursery:
                if incoming.wants_websocket:
                    nursery.start_soon(early.read, nursery.cancel_scope)
                up = await self._upstream.open(self._rt)
                nursery.cancel_scope.cancel()
            if up is not None and not early.at_end:
                await self._exchange(incoming, down, early, up)
        except Unreachable as exc:
            await self._say_unreachable(incoming, str(exc))
        finally:
            if up is not None:
                deadline = self._rt.current_time() + _CLEANUP
                with self._rt.CancelScope(shield=True, deadline=deadline):
                    await up.aclose()

    async def _exchange(
        self, incoming: IncomingRequest, down: ByteStream, early: EarlyBytes, up: ByteStream
    ) -> None:
        exchange = Exchange(
            self._rt,
            incoming.request,
            down,
            early,
            up,
            peer_host=incoming.host,
            secure=incoming.secure,
            own=self._upstream.headers,
            server=self._upstream.address.host_header,
            more=list(self._more(incoming)),
            stall_timeout=self._stall_timeout,
        )
        try:
            switched = await exchange.run()
        except Unreachable as exc:
            if exchange.begun:
                log.debug("%s: %s", incoming.peer, exc)
            else:
                await self._say_unreachable(incoming, f"{self.peer}: {exc}")
            return
        except BadRequest as exc:
            await self._refuse(incoming, exc.status, f"{exc}\n")
            return
        self._is_back()
        if switched is not None:
            await self._carry(incoming, down, up, switched)
        await incoming.part()

    async def _carry(
        self, incoming: IncomingRequest, down: ByteStream, up: ByteStream, switched: Switched
    ) -> None:
        tunnel = Tunnel(
            self._rt,
            incoming.peer,
            down,
            up,
            self._observers,
            max_size=self._max_size,
            stall_timeout=self._stall_timeout,
        )
        log.info("%s: open", incoming.peer)
        self.open += 1
        self.opened += 1
        try:
            await tunnel.run(switched)
        finally:
            self.open -= 1
            log.info("%s: closed by %s", incoming.peer, tunnel.end.value)

    def _more(self, incoming: IncomingRequest) -> Iterator[tuple[str, str]]:
        """Who may show a page in a frame, if the server does not say."""
        for name, value in self._origins.headers(incoming.request):
            if name == "content-security-policy":
                yield name, value

    # ---- the server behind is gone

    async def _say_unreachable(self, incoming: IncomingRequest, why: str) -> None:
        if self._fault != why:  # browsers ask again and again
            self._fault = why
            log.warning("%s", why)
        fields, body = unreachable(incoming.request, why)
        with self._refusals.visit(_REFUSAL_TIMEOUT):
            await incoming.answer(502, fields, body)

    def _is_back(self) -> None:
        if self._fault is not None:
            self._fault = None
            log.warning("%s answers again", self.peer)
