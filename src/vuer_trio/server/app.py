"""The server of an application."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from socket import socket
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload
from uuid import UUID

from .._connection.freshness import Freshness, Lease
from .._connection.policies import Fifo, Policy
from .._handlers import register
from .._hosting.authorization import Authorize
from .._hosting.origins import DEFAULT
from .._interrupts import protected_block
from .._nursery import background_service
from .._runtime import runtime
from .._transport_name import TransportName
from ..events import ClientEvent, ServerEvent, ServerRPC, received_server_event
from ..types import Url
from ..webrtc import IceServer, VideoTrack, WebRTCStream
from ..webrtc.stream_options import DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_VIEWERS
from ..workspace import Workspace, WorkspaceConfig, workspace_from_config
from .backend_choice import choose_backend
from .banner import banner, client_url, network_address, network_page_url, settings
from .broadcast import Broadcast
from .file_options import CurrentFolder
from .options import DEFAULT_MAX_BUFFERED, ServerOptions
from .qr_code import coloured, qr_code
from .reference_options import DEFAULT_HOST, DEFAULT_OUTBOX, fill_in
from .registered import Registered
from .running import run_blocking
from .serving import Serving
from .session import VuerSession
from .session_handlers import Bound, GeneratorHandler, Spawned
from .settings import Setting, collect
from .startable import Startable
from .threadsafe import ThreadsafeApp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._async_types import TaskStatus
    from .vuer_server import VuerServer

__all__ = ["Vuer", "open_vuer_server"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

H = TypeVar("H", bound=Callable[[ClientEvent, VuerSession], object])
S = TypeVar("S", bound=Callable[[VuerSession], Awaitable[object]])
B = TypeVar("B", bound=Callable[[VuerSession], Bound])

#: ports that are tried with ``free_port=True``
_PORTS = 100


class Vuer:
    """A Vuer server: what it does for its clients, and where it listens.

    ``host`` None listens on every interface; ``port`` falls back to ``VUER_PORT`` (8012), 0 means
    any free port; ``max_size`` (bytes of one received message) to ``WEBSOCKET_MAX_SIZE`` (2**24).
    ``inbox`` and ``outbox`` are the delivery policies of each session. Connections over
    ``max_sessions``, or over ``max_sessions_per_host`` (a quarter of that) from one address, are
    refused with 503; those without an INIT give way. ``max_buffered`` (bytes) limits what the
    messages of all sessions take together: above it the session that holds the most is closed with
    1013. Times are seconds: ``handshake_timeout`` for TLS and the opening request, ``init_timeout``
    for INIT, ``heartbeat`` for a silence before a ping, and as much again before a session is lost,
    ``close_timeout`` for the time without progress while a session is closed. A session that takes
    nothing of what waits for it for ``stall_timeout`` is closed with 1008, whatever it sends in the
    meantime. ``origins`` are the web pages that may connect, in addition to those of this server
    and of localhost; None allows all. ``hosts`` are the names of this server, ``"*.example.com"``
    for all under one, in addition to its addresses, localhost and ``*.local``: a browser that uses
    any other name is refused, unless over TLS. With ``cert`` and ``key`` (files) it serves TLS,
    with ``ca_cert`` only to clients with a certificate signed by that authority. ``tls="auto"``
    makes a certificate for the names and addresses of this machine, signed by an authority that is
    kept for this user, and listens on every interface unless ``host`` says otherwise. ``mdns=True``
    announces the server in the network.

    ``token`` is a secret that clients must send, and part of the URLs that `start` prints.
    ``authorize`` is a function, sync or async, that is called with each `Request` to open a session
    or to get a file or the page of a route: it returns True to allow that, and refuses with False,
    with a status from 400 to 499, or by raising. It has ``handshake_timeout`` seconds. The web
    client itself is public, because it contains no data. ``metrics=True`` serves counts and times
    of the sessions at ``/metrics``, to clients with the token or those that ``authorize`` admits,
    and without either to this machine only. It needs the extra ``metrics``.

    ``client_root`` is
    the folder of a built web client, served at the same port; without it that of an installed
    `vuer` is. ``workspace`` (``static_root`` is its old name) is a folder, or several, whose files
    are at ``/workspace/``, or a `Workspace`; it falls back to ``VUER_WORKSPACE``, and then to the
    current folder, which only this machine gets. ``workspace_path`` is the path in the printed
    URLs. ``backend`` is the library of `start`; "auto" goes by what the program imports.
    ``floats="single"`` sends floats with half the size, as the reference does.

    The keywords of the reference: ``queue_len`` is an ``outbox`` for which no call waits, and which
    keeps the newest change of each node; ``cors`` are more ``origins``, separated by commas, "*"
    for all; ``domain`` or ``client_url``, with ``queries``, is the page that `start` prints;
    ``web_port`` is the port of a development server that runs beside this one; with ``free_port``,
    the next free port is used if ``port`` is taken; with ``verbose``, `start` prints all options.
    ``queue_size``, ``uri``, which has no effect, ``WEBSOCKET_MAX_SIZE`` and ``REQUEST_MAX_SIZE``
    are accepted, too. The environment fills in what is not given: ``VUER_HOST``, ``VUER_PORT``,
    ``VUER_DOMAIN``, ``VUER_CORS``, ``VUER_SSL_CERT``, ``VUER_SSL_KEY``, ``VUER_SSL_CA_CERT``,
    ``WEBSOCKET_MAX_SIZE``, ``REQUEST_MAX_SIZE``. Those that are attributes may be set until the app
    starts.

    Raises TypeError and ValueError for invalid options.
    """

    host: Setting[str | None] = Setting()
    port: Setting[int] = Setting()
    cert: Setting[str | PathLike[str] | None] = Setting()
    key: Setting[str | PathLike[str] | None] = Setting()
    ca_cert: Setting[str | PathLike[str] | None] = Setting()
    tls: Setting[Literal["auto"] | None] = Setting()
    cors: Setting[str | None] = Setting()
    domain: Setting[str] = Setting()
    client_url: Setting[str | None] = Setting()
    queries: Setting[Mapping[str, Any] | None] = Setting()
    web_port: Setting[int | None] = Setting()
    queue_len: Setting[int | None] = Setting()
    free_port: Setting[bool] = Setting()
    verbose: Setting[bool] = Setting()
    static_root: Setting[WorkspaceConfig] = Setting()
    workspace_path: Setting[str] = Setting()

    def __init__(
        self,
        host: str | None = DEFAULT_HOST,
        port: int | None = None,
        *,
        inbox: Policy = Fifo(1024),
        outbox: Policy = DEFAULT_OUTBOX,
        max_size: int | None = None,
        max_sessions: int = 1000,
        max_sessions_per_host: int | None = None,
        max_buffered: int = DEFAULT_MAX_BUFFERED,
        handshake_timeout: float = 10.0,
        init_timeout: float = 10.0,
        close_timeout: float = 1.0,
        heartbeat: float = 20.0,
        stall_timeout: float = 10.0,
        origins: Iterable[str] | None = DEFAULT,
        hosts: Iterable[str] = (),
        cert: str | PathLike[str] | None = None,
        key: str | PathLike[str] | None = None,
        ca_cert: str | PathLike[str] | None = None,
        tls: Literal["auto"] | None = None,
        mdns: bool = False,
        token: str | None = None,
        authorize: Authorize | None = None,
        metrics: bool = False,
        client_root: str | PathLike[str] | None = None,
        workspace: WorkspaceConfig = None,
        static_root: WorkspaceConfig = None,
        workspace_path: str = "",
        backend: Literal["auto", "trio", "asyncio"] = "auto",
        floats: Literal["double", "single"] = "double",
        transport: TransportName = "auto",
        # of the reference
        queue_len: int | None = None,
        cors: str | None = None,
        domain: str | None = None,
        client_url: str | None = None,
        queries: Mapping[str, Any] | None = None,
        web_port: int | None = None,
        free_port: bool = False,
        verbose: bool = False,
        **more: Any,
    ) -> None:
        given = {**locals(), **more}
        for name in ("self", "more", "__class__"):
            given.pop(name, None)
        defaults = _defaults()
        self._given: dict[str, Any] = {
            name: value
            for name, value in given.items()
            if name not in defaults or value is not defaults[name]
        }
        self._given.setdefault("workspace", None)
        self.workspace  # checks them all
        self._registered = Registered(self, self._base)
        self._stopped = False  # by a signal
        self._serve_nowhere()

    def _serve_nowhere(self) -> None:
        self._serving: Serving | None = None
        #: the verbs of a session, for all sessions
        self.broadcast: Broadcast = Broadcast(lambda: self._serving)
        #: ``threadsafe.broadcast``: the same verbs from any thread
        self.threadsafe: ThreadsafeApp = ThreadsafeApp(self.broadcast.from_thread)

    # Where `multiprocessing` does not fork, what another process is to serve is pickled.

    def __getstate__(self) -> dict[str, Any]:
        if self._serving is not None:
            raise TypeError(f"{self!r} cannot go to another process while it serves")
        state = dict(self.__dict__)
        del state["_serving"], state["broadcast"], state["threadsafe"]
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._serve_nowhere()

    def __repr__(self) -> str:
        where = self._serving.uri if self._serving and self._serving.addresses else "not serving"
        return f"<Vuer {where}>"

    @property
    def sessions(self) -> tuple[VuerSession, ...]:
        """The open sessions, the oldest first."""
        return tuple(self._serving.sessions) if self._serving is not None else ()

    # ---- how old what clients have sent is

    def latest(self, etype: str, *, max_age: float | None = None, **filters: str) -> ClientEvent:
        """The newest event of a type that any client has sent: `VuerSession.latest` for all of
        them, or for those that ``filters`` match, as with `spawn`.

        Raises Stale if there is none, or if it was read more than ``max_age`` seconds ago. Events
        of clients that have left in the meantime count. From the first call on, the newest event of
        each of the last 1,024 types is kept.
        """
        return self._newest(filters).latest(etype, max_age)

    def lease(self, etype: str | Sequence[str], *, max_age: float, **filters: str) -> Lease:
        """``with app.lease("HAND_MOVE", max_age=0.2):`` runs while any client keeps sending.

        As `VuerSession.lease`, for all clients, or for those that ``filters`` match, as with
        `spawn`: a headset that drops and is back within ``max_age`` seconds keeps its lease. It
        does not end with a session; it runs out.
        """
        return Lease(self._newest(filters), etype, max_age)

    def _newest(self, filters: Mapping[str, str]) -> Freshness[ClientEvent]:
        if self._serving is not None:
            self._serving.home.check()
        return self._registered.newest.of(filters)

    @property
    def ws(self) -> Mapping[UUID, VuerSession]:
        """The open sessions by their ``CURRENT_WS_ID``, as they are now."""
        return MappingProxyType({session.CURRENT_WS_ID: session for session in self.sessions})

    async def send(
        self, ws_id: UUID, event: ServerEvent | None = None, event_bytes: bytes | None = None
    ) -> None:
        """`VuerSession.send` to one of `ws`, of an event or its encoded bytes.

        Raises KeyError without such a session, ProtocolError for bytes that are not an event, and
        as `VuerSession.send`.
        """
        if (event is None) == (event_bytes is None):
            raise TypeError("send takes an event or event_bytes; use send(ws_id, event)")
        await self.ws[ws_id].send(event or received_server_event(event_bytes or b""))

    async def rpc(self, ws_id: UUID, event: ServerRPC, ttl: float | None = 2.0) -> ClientEvent:
        """`VuerSession.rpc` of one of `ws`. Raises KeyError without such a session."""
        return await self.ws[ws_id].rpc(event, ttl)

    async def loop_forever(self) -> None:
        """Never return. The reference's older name for `VuerSession.forever`."""
        await runtime().Event().wait()

    # ---- its options

    @property
    def _options(self) -> ServerOptions:
        """As they are now. Raises TypeError and ValueError."""
        return ServerOptions.gather(self._collected())

    def _collected(self) -> dict[str, Any]:
        defaults = _defaults()
        return {**defaults, **collect(self, {**defaults, **self._given})}

    def _setting(self, name: str) -> Any:
        if name == "port" and self._serving is not None and self._serving.addresses:
            return self._serving.port
        return fill_in(self._collected())[name]

    @property
    def local_ip(self) -> str:
        """The address of this machine in its network; 127.0.0.1 if it is in none."""
        return network_address() or "127.0.0.1"

    def get_url(self, host: str = "localhost") -> str:
        """The web client's URL, told to connect to this server as ``host``."""
        return client_url(self._options, host, self.port)

    @property
    def workspace(self) -> Workspace:
        """The files at ``/workspace/``. What `Workspace.link` and `Workspace.mount` add is served
        immediately. Set it before the server starts."""
        workspace = self._options.workspace
        self._given.update(workspace=workspace, static_root=None)  # it is one object from now on
        return workspace

    @workspace.setter
    def workspace(self, config: WorkspaceConfig) -> None:
        self._given.update(workspace=workspace_from_config(config), static_root=None)

    @property
    def workspace_prefix(self) -> Url:
        """The address of the workspace for other machines: ``app.workspace_prefix / "a.urdf"``."""
        return self._prefix(self.local_ip)

    @property
    def localhost_prefix(self) -> Url:
        """The address of the workspace for this machine."""
        return self._prefix("localhost")

    def _prefix(self, host: str) -> Url:
        scheme = "https" if self._options.secure else "http"
        return Url(f"{scheme}://{host}:{self.port}/workspace")

    def _base(self) -> str:
        """The address of this server, for others in the network if it listens there."""
        host = self._options.host
        host = self.local_ip if host in (None, "", "0.0.0.0", "::") else host
        scheme = "https" if self._options.secure else "http"
        return f"{scheme}://{f'[{host}]' if ':' in str(host) else host}:{self.port}"

    # ---- what it does

    def add_route(
        self,
        path: str,
        fn: Callable[..., object],
        method: str = "GET",
        content_type: str = "",
    ) -> None:
        """Answer requests for ``path`` with what ``fn()`` or ``fn(request)``, sync or async,
        returns.

        ``request`` is a `LinkRequest`, whose ``body`` has been read: up to ``REQUEST_MAX_SIZE``
        bytes, or the answer is 413. ``fn`` returns a str (``text/html``, unless ``content_type``
        says otherwise), bytes, or a dict or list, which is sent as JSON. An exception is logged,
        and answered with 500. Routes take precedence over files. Raises TypeError and ValueError
        for a function that cannot be called like this.
        """
        self._registered.routes.add(path, fn, method, content_type)

    def create_webrtc_stream(
        self,
        stream_id: str,
        track: VideoTrack | None = None,
        codec: str | None = "H264",
        max_bitrate: int | None = None,
        max_framerate: float | None = None,
        resolution: tuple[int, int] | None = None,
        *,
        fps: float | None = None,
        ice_servers: Iterable[str | IceServer] = (),
        max_viewers: int = DEFAULT_MAX_VIEWERS,
        connect_timeout: float = DEFAULT_CONNECT_TIMEOUT,
    ) -> WebRTCStream:
        """Create a stream of frames, for `WebRTCVideoPlane` with ``src=stream.url``, at any time
        and from any thread.

        ``codec``, "H264" or "VP8", is the preferred one. ``fps`` is the largest number of frames to
        encode in a second; the reference calls it ``max_framerate``. ``max_bitrate`` is in bits per
        second, at least 500,000; encoders use at most 3,000,000. Until the first frame is pushed,
        viewers see a black picture of ``resolution`` (width and height, 640 by 480). ``track``, an
        aiortc track, is a source to use instead of `WebRTCStream.push_frame`; it is read while
        somebody watches. Each viewer has an encoder of its own.

        ``ice_servers`` are STUN and TURN servers (``"stun:stun.example.com:3478"``, or a dict with
        ``urls``, ``username`` and ``credential``); without them, no other host is contacted, and
        the viewer must be in the same network. At most ``max_viewers`` watch at a time, and a
        quarter of them from one address other than this machine's. A viewer that has not connected
        ``connect_timeout`` seconds after it was answered loses its place.

        Raises ImportError without aiortc (``pip install 'vuer-trio[webrtc]'``), TypeError and
        ValueError for the arguments, also for a ``stream_id`` that is taken.
        """
        return self._registered.streams.create(
            stream_id,
            track,
            codec=codec,
            max_bitrate=max_bitrate,
            max_framerate=max_framerate,
            resolution=resolution,
            fps=fps,
            ice_servers=ice_servers,
            max_viewers=max_viewers,
            connect_timeout=connect_timeout,
        )

    @overload
    def add_handler(
        self, etype: str, *, once: bool = ..., concurrent: bool = ...
    ) -> Callable[[H], H]: ...
    @overload
    def add_handler(
        self,
        etype: str,
        fn: Callable[[ClientEvent, VuerSession], object],
        *,
        once: bool = ...,
        concurrent: bool = ...,
    ) -> Callable[[], None]: ...
    def add_handler(
        self,
        etype: str,
        fn: Callable[[ClientEvent, VuerSession], object] | None = None,
        *,
        once: bool = False,
        concurrent: bool = False,
    ) -> Any:
        """Register a handler: call ``fn(event, session)`` for each event of type ``etype``.

        ``fn`` may be sync or async. ``etype="*"`` registers it for every event, in addition to the
        handlers of that event's type.

        ``app.add_handler(etype, fn)`` returns a function that removes the handler; calling it twice
        is harmless. ``@app.add_handler(etype)`` decorates ``fn`` and returns it unchanged.

        The handlers of one session run one at a time, in the order of its events, unless
        ``concurrent`` is true: then each call starts as soon as its event is read, and up to 64 run
        at a time. Sessions do not wait for each other. With ``once``, the handler is removed after
        the first such event of any session.

        An exception in a handler is logged, and does not end the session. When the
        client leaves, they have ``close_timeout`` seconds for the events that were read, and are
        then cancelled. Raises TypeError if ``fn`` cannot be called with an event and a session.
        """
        takes = ("event", "session")
        return register(
            self._registered.handlers,
            "add_handler",
            takes,
            etype,
            fn,
            once=once,
            concurrent=concurrent,
        )

    @overload
    def spawn(self, fn: S, *, start: Literal[False] = ...) -> S: ...
    @overload
    def spawn(self, fn: S, *, start: bool = ..., **filters: str) -> Startable[S]: ...
    @overload
    def spawn(
        self, fn: None = ..., *, start: bool = ..., **filters: str
    ) -> Callable[[S], Startable[S]]: ...
    def spawn(self, fn: Any = None, *, start: bool = False, **filters: str) -> Any:
        """Run ``await fn(session)`` for each client, once its INIT event has arrived.

        ``filters`` select clients by the value of INIT: ``client="browser*"`` matches the key
        ``client`` against a pattern of `fnmatch`. Of several functions, the first whose filters all
        match is the one that runs.

        The session lasts as long as the call. When ``fn`` returns, what it has sent is delivered,
        and the session is closed with 1000. If it raises, the exception is logged, and the session
        is closed with 1011. When the client leaves, ``fn`` is cancelled.

        ``@app.spawn`` returns ``fn`` unchanged. ``@app.spawn()``, with filters or without, makes it
        a `Startable`, which can be called as before and has ``start()``. With ``start=True`` the
        decorator then calls `start`, which blocks. Raises TypeError if ``fn`` is not an async
        function that takes a session.
        """

        def decorate(fn: S) -> Startable[S]:
            self._registered.spawned.append(Spawned(fn, filters))
            if start:
                self.start()
            return Startable(fn, self.start)

        if fn is None:
            return decorate
        started = decorate(fn)
        return started if start or filters else fn

    @overload
    def bind(self, fn: B, *, start: bool = ...) -> Startable[B]: ...
    @overload
    def bind(self, fn: None = ..., *, start: bool = ...) -> Callable[[B], Startable[B]]: ...
    def bind(self, fn: Any = None, *, start: bool = False) -> Any:
        """Send each event that the async generator ``fn(session)`` yields, for each client.

        The generator starts when the connection opens, without waiting for INIT, and takes the
        place of the functions of `spawn`. It yields server events, or ``Frame(event,
        frame_rate=60)``, which sends its event and then waits until the frame is over: frames start
        ``1 / frame_rate`` seconds apart. ``event = yield ...`` gives the next event of the client,
        the first of which is its INIT, and waits for it; the newest 1,024 are kept. To wait and
        send nothing, yield NOOP. After a Frame it gives a NULL event. A ``yield`` whose value is
        not used does not wait, unless it yields NOOP. Handlers run concurrently with it.

        The session ends with the generator, as it does with a function of `spawn`: it is closed
        with 1000, or with 1011 if the generator raised. When the client leaves, the generator is
        cancelled, and closed.

        ``@app.bind`` and ``@app.bind()`` return a `Startable`, which can be called as ``fn`` and
        has ``start()``. With ``start=True`` the decorator then calls `start`, which blocks. Raises
        TypeError if ``fn`` is not a generator function, async or not, that takes a session.
        """

        def decorate(fn: B) -> Startable[B]:
            self._registered.binding = GeneratorHandler(fn)
            if start:
                self.start()
            return Startable(fn, self.start)

        return decorate if fn is None else decorate(fn)

    # ---- where it runs

    async def serve(
        self,
        *,
        sockets: Sequence[socket] = (),
        task_status: TaskStatus[VuerServer] | None = None,
    ) -> None:
        """Serve until cancelled: ``server = await nursery.start(app.serve)``.

        ``server`` has ``uri`` and ``port``. ``sockets`` are listening already, and replace host and
        port: with inherited ones, several processes can serve at one port. They are left open.

        Raises OSError, which says what to do, if it cannot listen, and ssl.SSLError for an invalid
        certificate. Cancelled:
        every session is closed with 1001, within a second more than ``close_timeout``.
        """
        await self._serve_at(None, None, sockets, task_status=task_status)

    async def _serve_at(
        self,
        host: str | None,
        port: int | None,
        sockets: Sequence[socket] = (),
        *,
        task_status: TaskStatus[VuerServer] | None = None,
    ) -> None:
        """As `serve`, somewhere else if ``host`` or ``port`` say so."""
        if self._serving is not None and not self._serving.home.forked:
            raise RuntimeError(f"{self!r} is already serving")
        await self._serve(self._where(host, port), task_status, sockets)

    def _where(self, host: str | None, port: int | None) -> ServerOptions:
        options = self._options
        if host is not None:
            options = replace(options, host=host)
        return options if port is None else replace(options, port=port)

    async def _serve(
        self,
        options: ServerOptions,
        task_status: TaskStatus[VuerServer] | None,
        sockets: Sequence[socket] = (),
    ) -> None:
        """At its port; with ``free_port`` at the next one that is free."""
        last = min(options.port + _PORTS, 65_535) if options.free_port else options.port
        while True:
            self._serving = serving = Serving(self._registered, runtime(), options, sockets)
            try:
                return await serving.run(task_status)
            except OSError as exc:
                taken = exc.errno == errno.EADDRINUSE and not serving.addresses
                if not taken or options.port >= last:
                    raise
            finally:
                self._serving = None
            log.warning("port %d is in use, trying the next", options.port)
            options = replace(options, port=options.port + 1)

    def start(self, free_port: bool | None = None, **options: Any) -> None:
        """Serve until Ctrl-C or SIGTERM, under ``backend``. Sessions are closed with 1001.

        ``options`` are those of `Vuer`, for this run. Once a signal has stopped the app, starting
        it again has no effect: a program with ``@app.spawn(start=True)`` above ``app.run()`` ends
        with one Ctrl-C. Raises RuntimeError inside a running event loop: ``await app.serve()``
        there.
        """
        if free_port is not None:
            options["free_port"] = free_port
        chosen = ServerOptions.gather({**self._collected(), **options})
        if self._stopped:
            log.info("%r was told to stop, and does not start again", self)
            return
        backend = chosen.backend
        if backend == "auto":
            backend = choose_backend(self._registered.functions())

        async def serve(*, task_status: TaskStatus[VuerServer]) -> None:
            await self._serve(chosen, task_status)

        def announce(server: VuerServer) -> None:
            folders = chosen.workspace
            served = () if isinstance(folders, CurrentFolder) else folders.absolute_paths
            lines = banner(chosen, server.port, backend, served)
            if chosen.verbose:
                lines += settings(chosen)
            page = network_page_url(chosen, server.port) if chosen.tls is not None else None
            lines += [] if page is None else coloured(qr_code(page, sys.stdout))
            print("\n".join(lines), flush=True)

        self._stopped = run_blocking(backend, serve, announce)

    run = start


def _defaults() -> dict[str, Any]:
    """Of the keywords of `Vuer`."""
    positional = dict(zip(("host", "port"), Vuer.__init__.__defaults__ or (), strict=True))
    return {**positional, **(Vuer.__init__.__kwdefaults__ or {})}


@protected_block
async def open_vuer_server(
    app: Vuer,
    *,
    host: str | None = None,
    port: int | None = None,
    sockets: Sequence[socket] = (),
) -> AsyncGenerator[VuerServer, None]:
    """``async with open_vuer_server(app, port=0) as server:`` serves while the block runs.

    ``server`` has ``uri``, ``port`` and ``sessions``. ``host`` and ``port`` override those of the
    app; ``sockets`` are those of `Vuer.serve`. Raises as `Vuer.serve`. When the block ends, every
    session is closed with 1001.
    """
    async with background_service(runtime(), app._serve_at, host, port, sockets) as server:
        yield server
