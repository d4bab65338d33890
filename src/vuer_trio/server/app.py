"""The server of an application."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .._connection.policies import Fifo, Policy
from .._handlers import register
from .._hosting.origins import DEFAULT
from .._interrupts import protected_block
from .._nursery import background_service
from .._runtime import runtime
from .._transport_name import TransportName
from ..events import ClientEvent
from .broadcast import Broadcast
from .options import DEFAULT_MAX_BUFFERED, ServerOptions
from .registered import Registered
from .running import run_blocking
from .serving import Serving
from .session import VuerSession
from .session_handlers import GeneratorHandler, Spawned
from .threadsafe import ThreadsafeApp

if TYPE_CHECKING:
    from .._async_types import TaskStatus
    from .vuer_server import VuerServer

__all__ = ["Vuer", "open_vuer_server"]

H = TypeVar("H", bound=Callable[[ClientEvent, VuerSession], object])
S = TypeVar("S", bound=Callable[[VuerSession], Awaitable[object]])
B = TypeVar("B", bound=Callable[[VuerSession], AsyncGenerator[Any, None]])


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
    nothing of what waits for it for ``stall_timeout`` is closed with 1008, whatever it sends
    meanwhile. ``origins`` are the web pages that may connect, in addition to those of this server
    and of localhost; None allows all. ``hosts`` are the names of this server, ``"*.example.com"``
    for all under one, in addition to its addresses, localhost and ``*.local``: a browser that uses
    any other name is refused, unless over TLS. With ``cert`` and ``key`` (files) it serves TLS,
    with ``ca_cert`` only to clients with a certificate signed by that authority. ``client_root`` is
    the folder of a built web client, served at the same port. ``backend`` is the library of
    `start`. ``floats="single"`` halves the size of floats, as the reference does.

    Raises TypeError and ValueError for invalid options.
    """

    def __init__(
        self,
        host: str | None = "localhost",
        port: int | None = None,
        *,
        inbox: Policy = Fifo(1024),
        outbox: Policy = Fifo(65_536),
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
        client_root: str | PathLike[str] | None = None,
        backend: Literal["trio", "asyncio"] = "trio",
        floats: Literal["double", "single"] = "double",
        transport: TransportName = "auto",
        **unknown: Any,
    ) -> None:
        given = {**locals(), **unknown}
        for name in ("self", "unknown", "__class__"):
            given.pop(name, None)
        self._options = ServerOptions.gather(given)
        self._registered = Registered()
        self._serving: Serving | None = None
        #: the verbs of a session, for all sessions
        self.broadcast: Broadcast = Broadcast(lambda: self._serving)
        #: ``threadsafe.broadcast``: the same verbs from any thread
        self.threadsafe: ThreadsafeApp = ThreadsafeApp(self.broadcast.from_thread)

    def __repr__(self) -> str:
        where = self._serving.uri if self._serving and self._serving.addresses else "not serving"
        return f"<Vuer {where}>"

    @property
    def sessions(self) -> tuple[VuerSession, ...]:
        """The open sessions, the oldest first."""
        return tuple(self._serving.sessions) if self._serving is not None else ()

    # ---- what it does

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
        """Call ``fn(event, session)``, sync or async, for each event of a type.

        ``"*"`` is every type: ``fn`` is called for each event, beside the handlers of its type.

        With ``fn`` it returns a function that takes it back, twice is harmless; as a decorator it
        returns the function. The handlers of a session run one after another, in the order of its
        events; ``concurrent`` ones at once. ``once``: for the first such event of any session.
        What a handler raises is logged, and ends nothing. Raises TypeError for a ``fn`` that cannot
        be called with an event and a session.
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
    def spawn(self, fn: S, *, start: Literal[False] = ..., **filters: str) -> S: ...
    @overload
    def spawn(self, fn: None = ..., *, start: bool = ..., **filters: str) -> Callable[[S], S]: ...
    def spawn(self, fn: Any = None, *, start: bool = False, **filters: str) -> Any:
        """Run ``await fn(session)`` for each client, once its INIT has arrived.

        ``filters`` are patterns for keys of INIT's value, ``client="browser"``; the first function
        whose filters match runs. When it returns, what it sent is delivered and the session closed
        with 1000; what it raises is logged, and closes with 1011. ``start``: then `start`.
        Raises TypeError for a ``fn`` that is no async function of a session.
        """

        def decorate(fn: S) -> S:
            self._registered.spawned.append(Spawned(fn, filters))
            if start:
                self.start()
            return fn

        return decorate if fn is None else decorate(fn)

    @overload
    def bind(self, fn: B, *, start: Literal[False] = ...) -> B: ...
    @overload
    def bind(self, fn: None = ..., *, start: bool = ...) -> Callable[[B], B]: ...
    def bind(self, fn: Any = None, *, start: bool = False) -> Any:
        """Send what the async generator ``fn(session)`` yields, from the handshake on.

        It yields events, and ``Frame(event, frame_rate=60)``, which sends its event and lasts
        1/60 s. Handlers and receiving go on beside it. Its end is that of a `spawn` function.
        Raises TypeError for a ``fn`` that is no async generator function of a session.
        """

        def decorate(fn: B) -> B:
            self._registered.binding = GeneratorHandler(fn)
            if start:
                self.start()
            return fn

        return decorate if fn is None else decorate(fn)

    # ---- where it runs

    async def serve(self, *, task_status: TaskStatus[VuerServer] | None = None) -> None:
        """Serve until cancelled: ``server = await nursery.start(app.serve)``.

        ``server`` has ``uri`` and ``port``. Raises OSError if it cannot listen, ssl.SSLError for
        an invalid certificate. Cancelled: every session is closed with 1001, within a
        second more than ``close_timeout``.
        """
        await self._serve_at(None, None, task_status=task_status)

    async def _serve_at(
        self,
        host: str | None,
        port: int | None,
        *,
        task_status: TaskStatus[VuerServer] | None = None,
    ) -> None:
        """As `serve`, somewhere else if ``host`` or ``port`` say so."""
        if self._serving is not None and not self._serving.home.forked:
            raise RuntimeError(f"{self!r} is already serving")
        options = self._options
        if host is not None:
            options = replace(options, host=host)
        if port is not None:
            options = replace(options, port=port)
        self._serving = Serving(self._registered, runtime(), options)
        try:
            await self._serving.run(task_status or _Ignored())
        finally:
            self._serving = None

    def start(self) -> None:
        """Serve until Ctrl-C or SIGTERM, under ``backend``. Sessions are closed with 1001.

        Raises RuntimeError inside a running event loop: ``await app.serve()`` there.
        """
        run_blocking(self._options.backend, self.serve, self._announce)

    run = start

    def _announce(self, server: VuerServer) -> None:
        print(f"Vuer is at {server.uri}", flush=True)


class _Ignored:
    def started(self, value: Any = None) -> None:
        """Nobody waits for this value."""


@protected_block
async def open_vuer_server(
    app: Vuer, *, host: str | None = None, port: int | None = None
) -> AsyncGenerator[VuerServer, None]:
    """``async with open_vuer_server(app, port=0) as server:`` serves while the block runs.

    ``server`` has ``uri``, ``port`` and ``sessions``. ``host`` and ``port`` override those of the
    app. Raises as `Vuer.serve`. When the block ends, every session is closed with 1001.
    """
    async with background_service(runtime(), app._serve_at, host, port) as server:
        yield server
