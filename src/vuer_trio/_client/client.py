"""The Vuer client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from .._connection.backoff import Backoff
from .._connection.client_base import ClientBase
from .._connection.connection import Connection
from .._connection.freshness import Freshness, Lease
from .._connection.observers import Observer, Observers, add_observer
from .._connection.policies import DEFAULT_INBOX, Fifo, Policy
from .._connection.sender import Sender
from .._connection.state import State
from .._handlers import Handlers, kind, register
from .._interrupts import protected_methods
from .._runtime import Runtime
from .._transport_name import TransportName
from ..codec import make_encoder
from ..events import ClientEvent, ServerEvent
from ..scene import Scene
from .connecting import new_connection, received, with_key
from .dispatch import Dispatch
from .handler import ClientHandler
from .info import get_client_info
from .options import Headers, Options, WebsocketsOptions
from .threadsafe import ThreadsafeClient

if TYPE_CHECKING:
    pass

__all__ = ["VuerClient", "open_vuer_client"]

F = TypeVar("F", bound=Callable[[ServerEvent], object])


@protected_methods
class VuerClient(ClientBase[ClientEvent, ServerEvent]):
    """A connection to a Vuer server.

    ``async with VuerClient(uri) as client`` opens it, and closes it at the end of the block; it
    may be entered again. `run` and `connect` keep one open beyond the function that opens it.

    ``uri``, ``max_size`` (bytes) and ``ssl_verify`` fall back to the environment's
    ``VUER_CLIENT_URI`` (``ws://localhost:8012``), ``WEBSOCKET_MAX_SIZE`` (2**28) and
    ``VUER_SSL_VERIFY`` (true). ``headers`` may be a callable, called for each connection attempt.
    ``proxy`` is an ``http://`` or ``https://`` URL, or True for the environment's. ``stream`` is an
    open byte stream, used as it is. Timeouts are in seconds, `math.inf` disables one:
    ``connect_timeout`` for the whole of opening; ``close_timeout`` for the time without progress
    while the outbox drains, and for the peer's answer to the close; ``heartbeat`` for a silence
    before a ping, and as much again before the link is lost. ``reconnect``, True or a `Backoff`,
    reconnects after every end that this side did not ask for; until it gives up, sending works as
    long as the outbox has room, and calls that wait keep waiting. ``floats="single"`` halves the
    size of floats, as the reference does. ``mirror_scene`` keeps `scene`. ``checkpoints="every"``
    yields to other tasks at every call. ``inbox`` and ``outbox`` are delivery policies: `Fifo`
    waits when it is full, `DropOldest`, `Latest` and `Discard` never do and count what they drop.
    The default inbox is a ``Fifo(1024)`` that waits for its first receiver for at most 1 s after it
    filled up: from then until there is one, it keeps the newest, counts the rest, and logs a
    warning.

    Raises TypeError and ValueError for invalid options.
    """

    def __init__(
        self,
        uri: str | None = None,
        *,
        max_size: int | None = None,
        ssl_verify: bool | None = None,
        ssl_context: SSLContext | None = None,
        headers: Headers | None = None,
        proxy: str | Literal[True] | None = None,
        connect_timeout: float = 10.0,
        close_timeout: float = 1.0,
        heartbeat: float = 20.0,
        inbox: Policy = DEFAULT_INBOX,  # a Fifo(1024)
        outbox: Policy = Fifo(1024),
        reconnect: bool | Backoff | None = None,
        compression: Literal["deflate"] | None = None,
        floats: Literal["double", "single"] = "double",
        mirror_scene: bool = False,
        checkpoints: Literal["amortised", "every"] = "amortised",
        transport: TransportName = "auto",
        stream: Any = None,
        **websockets_options: Unpack[WebsocketsOptions],
    ) -> None:
        given = Options.among(locals())
        for name in ("connect_timeout", "heartbeat"):  # an alias of theirs outdoes a default
            if given[name] == _DEFAULTS[name]:
                del given[name]
        options = self._options = Options.gather({**given, **websockets_options})
        self._encode = make_encoder(options.floats, "ClientEvent")
        self._retained: dict[str, bytes] = {}  # the newest of each type, for every new link
        #: ``send @ e``, ``await send(e)``, ``await send @ e``; ``await send`` returns a permit
        self.send: Sender[ClientEvent] = Sender(
            with_key(self._encode, options.outbox.key_function(kind)),
            options.address.shown,
            partial(_retain, self._retained),
        )
        super().__init__(
            self.send,
            received,
            every=options.checkpoints == "every",
            unsafe=options.unsafe(
                "VUER_SSL_VERIFY in the environment" if ssl_verify is None else "ssl_verify=False"
            ),
        )
        self._handlers = Handlers()
        self._freshness = Freshness(received)
        self._scene = Scene() if options.mirror_scene else None
        self._handler: ClientHandler | None = None  # of the latest connection
        self._observers: Observers = []  # of every connection

    def __repr__(self) -> str:
        state = self._connection.state.value if self._connection else "not connected"
        return f"<VuerClient {self.uri} {state}>"

    # ---- its connection

    def _client_info(self) -> dict[str, Any]:
        """What its INIT says of it."""
        return get_client_info()

    def _new_connection(self, rt: Runtime, shielded: bool, made: Callable[[], None]) -> Connection:
        init = self._encode(ClientEvent(etype="INIT", value=self._client_info()))
        options, retained = self._options, self._retained
        self._handler = ClientHandler(
            options,
            made,
            lambda: [init, *retained.values()],
            self._freshness,
            self._scene,
        )
        return new_connection(
            rt,
            options,
            self._handler,
            options.outbox.open_outbox(rt),
            shielded=shielded,
            observers=self._observers,
        )

    def _opened(self, connection: Connection) -> None:
        super()._opened(connection)
        self._freshness.follow(connection.rt)
        keyed = self._options.inbox.key_function(kind) is not None
        if self._handlers or self._freshness.tracking or keyed or self._scene is not None:
            self._heed(connection)

    # ---- sending

    def send_nowait(self, event: ClientEvent) -> None:
        """Enqueue an event now; the same as ``client.send @ event``.

        Raises OutboxFull when there is no room, EncodeError, ConnectionClosed, ClientClosed.
        """
        self.send @ event

    # ---- handlers

    @overload
    def on(self, etype: str, *, once: bool = ..., concurrent: bool = ...) -> Callable[[F], F]: ...
    @overload
    def on(
        self,
        etype: str,
        fn: Callable[[ServerEvent], object],
        *,
        once: bool = ...,
        concurrent: bool = ...,
    ) -> Callable[[], None]: ...
    def on(
        self,
        etype: str,
        fn: Callable[[ServerEvent], object] | None = None,
        *,
        once: bool = False,
        concurrent: bool = False,
    ) -> Any:
        """Register a handler: call ``fn(event)`` for each event whose type is ``etype``.

        ``fn`` may be sync or async. ``etype="*"`` registers it for every event, in addition to the
        handlers of that event's type. Events are delivered to `recv` as well.

        ``client.on(etype, fn)`` returns a function that removes the handler; calling it twice is
        harmless. ``@client.on(etype)`` decorates ``fn`` and returns it unchanged.

        Handlers run one at a time, in the order of the events, unless ``concurrent`` is true: then
        each call starts as soon as its event is read, and up to 64 run at a time. With ``once``,
        the handler is removed after its first event. Events that wait for a handler are queued
        under the policy of the inbox, or the newest 1,024 of them if that is `Discard`.

        An exception in a handler is logged, and affects neither the connection nor other handlers.
        When the connection ends, the handlers of events that were read still run; leaving the block
        cancels them. Raises TypeError if ``fn`` cannot be called
        with one event.
        """
        return self._register("on", etype, fn, once=once, concurrent=concurrent)

    @overload
    def answer(self, etype: str) -> Callable[[F], F]: ...
    @overload
    def answer(self, etype: str, fn: Callable[[ServerEvent], object]) -> Callable[[], None]: ...
    def answer(self, etype: str, fn: Callable[[ServerEvent], object] | None = None) -> Any:
        """Answer requests of type ``etype`` with what ``fn(event)`` returns.

        ``fn`` may be sync or async. Its result is sent back as the ``value`` of an event whose
        type is the request's ``rtype``. An answered request is not delivered to `recv`. Requests
        are answered concurrently, up to 64 at a time, each as soon as it is read. If ``fn`` raises,
        the exception is logged, and the request is not answered.

        Returns what `on` returns, with or without ``fn``. Raises TypeError if ``fn`` cannot be
        called with one event, and ValueError if ``etype`` is ``"*"`` or already has an answer.
        """
        return self._register("answer", etype, fn, answers=True)

    def _register(
        self, verb: str, etype: str, fn: Callable[[ServerEvent], object] | None, **options: bool
    ) -> Any:
        self._heed(self._connection)
        return register(self._handlers, verb, ("event",), etype, fn, **options)

    def _heed(self, connection: Connection | None) -> None:
        """Somebody wants to see events when they are read."""
        if connection is None or self._handler is None or self._handler.dispatch is not None:
            return
        if connection.state in (State.OPEN, State.GAP):
            connection.home.check()
            # an answer is of no kind, and is not replaced by another one
            answers: Sender[ClientEvent] = Sender(self._encode, self.uri)
            answers.connect(connection.outbox, self.send.throttle)
            assert self._handler is not None
            self._handler.dispatch = Dispatch(
                connection,
                self._handlers,
                received,
                answers,
                self._options.inbox,
                self._freshness,
                self._scene,
            )

    def observe(self, fn: Observer) -> Callable[[], None]:
        """Call ``fn(direction, messages)`` for all that is on the wire: payloads, in order, as
        bytes, or as a bytearray or a memoryview if they are large.

        ``direction`` is "received", when they are read, or "sent", just before they are written;
        INIT is among them if ``fn`` is there when the connection opens. ``fn`` is sync, and must
        neither wait nor keep the sequence. What it raises is logged. Returns a function that
        removes ``fn``; calling it twice is harmless.
        """
        return add_observer(self._observers, fn)

    # ---- the scene

    @property
    def scene(self) -> Scene:
        """The server's scene, as a browser would show it after everything that has been read.

        It is one read-only object for the life of the client. Each link starts with an empty
        scene, as each page does; between links it stays as the last one left it. It grows with
        what the server adds. Raises RuntimeError without ``mirror_scene=True``.
        """
        if self._scene is None:
            raise RuntimeError(
                "this client has no scene; open it with open_vuer_client(..., mirror_scene=True)"
            )
        return self._scene

    @property
    def threadsafe(self) -> ThreadsafeClient:
        """``client.threadsafe.send(event)``: the calls that do not wait, from any thread."""
        return ThreadsafeClient(self.send)

    # ---- staleness

    def latest(self, etype: str, *, max_age: float | None = None) -> ServerEvent:
        """The newest event of a type, whether or not it has been received.

        Raises Stale if there is none, or if it was read more than ``max_age`` seconds ago.

        The first call of `latest` or `lease` looks back over what was read last: up to 64 reads
        or 64 KiB. From then on, over later connections of the same loop too, every event is
        decoded when it is read, and the newest of each of the last 1,024 types is kept.
        """
        self._heed(self._connection)
        self._freshness.begin()
        return self._freshness.latest(etype, max_age)

    def lease(self, etype: str | Sequence[str], *, max_age: float) -> Lease:
        """``with client.lease("POSE", max_age=0.1) as lease:`` runs while events keep coming.

        The block is a cancel scope, ``lease.scope``. Its deadline is ``max_age`` seconds after
        the newest event of the type, or after the entry if that one is older or there is none;
        each one that is read moves it on. ``etype`` may be several types: an event of any of them
        keeps the lease. At the deadline the block is cancelled, and leaving it
        raises Stale. The end of the connection does not end the lease: it runs out.
        """
        self._heed(self._connection)
        self._freshness.begin()
        return Lease(self._freshness, etype, max_age)


#: ``async with open_vuer_client(uri, ...) as client``: the client is its own context manager
open_vuer_client = VuerClient


def _retain(retained: dict[str, bytes], event: ClientEvent, payload: bytes) -> None:
    retained.pop(event.etype, None)  # the newest goes last
    retained[event.etype] = payload


_DEFAULTS = {"connect_timeout": 10.0, "heartbeat": 20.0}
