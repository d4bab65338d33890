"""The Vuer client."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from .._connection.backoff import Backoff
from .._connection.checkpoints import CheckpointThrottle
from .._connection.client_base import ClientBase
from .._connection.connection import Connection
from .._connection.counters import Counters
from .._connection.observers import Observer, Observers, add_observer
from .._connection.policies import DEFAULT_INBOX, Fifo, Policy, open_inbox
from .._connection.queue import Queue
from .._connection.receiver import Receiver
from .._connection.sender import Sender
from .._connection.state import State
from .._connection.statistics import Statistics, measure
from .._errors import CallTimeout, ClientClosed, renew
from .._handlers import Handlers, kind, register
from .._interrupts import protected_methods
from .._runtime import Runtime, runtime
from .._transport_name import TransportName
from ..events import ClientEvent, ServerEvent
from ..scene import Scene
from .connecting import event_encoder, received, with_key
from .dispatch import Dispatch
from .freshness import Freshness, Lease
from .handler import ClientHandler
from .info import get_client_info
from .options import Headers, Options, WebsocketsOptions
from .threadsafe import ThreadsafeClient

if TYPE_CHECKING:
    from .._connection.trio_channels import ReceiveEnd, SendEnd

__all__ = ["VuerClient", "open_vuer_client"]

F = TypeVar("F", bound=Callable[[ServerEvent], object])


@protected_methods
class VuerClient(ClientBase):
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
        given = {name: value for name, value in locals().items() if name in Options.names()}
        for name in ("connect_timeout", "heartbeat"):  # an alias of theirs outdoes a default
            if given[name] == _DEFAULTS[name]:
                del given[name]
        self._options = Options.gather({**given, **websockets_options})
        super().__init__()
        environment = ssl_verify is None
        self._unsafe = self._options.unsafe(
            "VUER_SSL_VERIFY in the environment" if environment else "ssl_verify=False"
        )
        self._every = self._options.checkpoints == "every"
        self._encode = event_encoder(self._options.floats)
        keyed = with_key(self._encode, self._options.outbox.key_function(kind))
        self._handlers = Handlers()
        self._freshness = Freshness(received)
        self._scene = Scene() if self._options.mirror_scene else None
        self._handler: ClientHandler | None = None  # of the latest connection
        self._heeded: Connection | None = None  # whose messages are decoded when they are read
        self._observers: Observers = []  # of every connection
        self._retained: dict[str, bytes] = {}  # the newest of each type, for every new link
        nowhere: Queue[Any] = Queue(None, Fifo())
        nowhere.close(
            ClientClosed(
                f"Not connected to {self.uri}: enter the client with `async with`, or await "
                "client.connect()"
            )
        )
        throttle = CheckpointThrottle()
        #: ``send @ e``, ``await send(e)``, ``await send @ e``; ``await send`` returns a permit
        self.send: Sender[ClientEvent] = Sender(
            nowhere, keyed, throttle, self.uri, partial(_retain, self._retained)
        )
        self._receiver: Receiver[ServerEvent] = Receiver(
            nowhere, nowhere, received, throttle, self.uri
        )

    # ---- state

    @property
    def uri(self) -> str:
        """Where it connects to, without anything secret: no password, no values of its query."""
        return self._options.address.shown

    def statistics(self) -> Statistics:
        """Counts, depths and times, as they are now."""
        connection = self._connection
        return measure(
            connection.counters if connection else Counters(),
            self.send.outbox,
            self._receiver.inbox,
            connection.boxes if connection else (),
            silence=connection.rt.current_time() - connection.heard_at if connection else None,
            reconnects=max(0, self.generation - 1),
        )

    def __repr__(self) -> str:
        state = self._connection.state.value if self._connection else "not connected"
        return f"<VuerClient {self.uri} {state}>"

    # ---- its connection

    def _client_info(self) -> dict[str, Any]:
        """What its INIT says of it."""
        return get_client_info()

    def _new_connection(self, rt: Runtime, shielded: bool, made: Callable[[], None]) -> Connection:
        init = self._encode(ClientEvent(etype="INIT", value=self._client_info()))
        options, retained, scene = self._options, self._retained, self._scene
        self._handler = ClientHandler(
            options,
            made,
            lambda: [init, *retained.values()],
            None if scene is None else scene.clear,
            self._freshness,
        )
        return Connection(
            rt,
            self.uri,
            self._handler,
            open_inbox(rt, options.inbox),
            options.outbox.open(rt),
            heartbeat=options.heartbeat,
            close_timeout=options.close_timeout,
            backoff=options.backoff,
            shielded=shielded,
            observers=self._observers,
        )

    def _opened(self, connection: Connection) -> None:
        throttle = CheckpointThrottle(connection.rt, every=self._every, home=connection.home)
        self.send.connect(connection.outbox, throttle)
        self._receiver.connect(connection.rt, connection.inbox, connection.outbox, throttle)
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

    async def send_many(self, events: Iterable[ClientEvent]) -> None:
        """Wait for room, then enqueue all events in one step. Cancelled: none of them."""
        await self.send.many(events)

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until the server has read everything enqueued so far.

        The server answers a WebSocket ping that is sent after it. Raises CallTimeout after
        ``timeout`` seconds, InboxFull if a full inbox keeps the answer from being read:
        immediately, or after 1 s with the default inbox if nothing has ever been received.
        Cancelled: nothing is undone.
        """
        if self._connection is None:
            raise renew(self.send.outbox.closed or ClientClosed())
        if timeout is None:
            return await self._connection.flush()
        with self._connection.rt.move_on_after(timeout):
            return await self._connection.flush()
        raise CallTimeout(f"{self.uri} has not read everything within {timeout:g} s")

    # ---- receiving

    # Not `async def`: a coroutine that only awaits another one costs a tenth of a receive.
    def recv(self, timeout: float | None = None) -> Coroutine[Any, Any, ServerEvent]:
        """Wait for the next event.

        Raises RecvTimeout after ``timeout`` seconds, ConnectionClosed when everything has been
        received and the connection has ended (cleanly, too), ClientClosed after a local close,
        ProtocolError for a frame that cannot be decoded, after which the next call continues.
        It yields to other tasks at least every 0.25 ms. Cancelled: nothing has been taken.
        """
        if timeout is None:
            return self._receiver.recv()
        return self._receiver.recv_within(timeout)

    def recv_nowait(self) -> ServerEvent:
        """The next event, if it is there. Raises InboxEmpty if not, else as `recv`."""
        return self._receiver.recv_nowait()

    async def recv_many(self, limit: int | None = None) -> list[ServerEvent]:
        """Wait for one event, and return all that are there, up to ``limit``. Raises as `recv`."""
        return await self._receiver.recv_many(limit)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, ServerEvent]:
        """As `recv`, but ends on a normal close: code 1000 or 1001."""
        return self._receiver.recv(iterating=True)

    @property
    def send_channel(self) -> SendEnd[ClientEvent]:
        """The sending end, as a ``trio.abc.SendChannel``; each access makes a new one.

        Under asyncio it is an ``anyio.abc.ObjectSendStream``, with anyio's exceptions.
        """
        rt = runtime()
        if rt.name == "asyncio":
            from .._connection.anyio_channels import SendStream

            return SendStream(rt, self.send)  # type: ignore[return-value]  # as documented
        from .._connection.trio_channels import SendEnd

        return SendEnd(rt, self.send)

    @property
    def receive_channel(self) -> ReceiveEnd[ServerEvent]:
        """The receiving end, as a ``trio.abc.ReceiveChannel``; each access makes a new one.

        Under asyncio it is an ``anyio.abc.ObjectReceiveStream``, with anyio's exceptions. Taking
        it counts as receiving: from then on the default inbox waits as long as it takes.
        """
        rt = runtime()
        self._receiver.take()
        if rt.name == "asyncio":
            from .._connection.anyio_channels import ReceiveStream

            return ReceiveStream(rt, self._receiver)  # type: ignore[return-value]  # as documented
        from .._connection.trio_channels import ReceiveEnd

        return ReceiveEnd(rt, self._receiver)

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
        """Call ``fn(event)``, sync or async, for each event of a type; `recv` gets it as well.

        ``"*"`` is every type: ``fn`` is called for each event, beside the handlers of its type.

        With ``fn`` it returns a function that takes it back; as a decorator it returns the
        function. Handlers run one after another, in the order of the events; ``concurrent``
        ones at once. Events that wait for a handler have the policy of the inbox; under `Discard`
        the newest 1,024 wait. What a handler raises is logged, and ends nothing. Raises TypeError
        for a ``fn`` that cannot be called with an event.
        """
        return self._register("on", etype, fn, once=once, concurrent=concurrent)

    @overload
    def answer(self, etype: str) -> Callable[[F], F]: ...
    @overload
    def answer(self, etype: str, fn: Callable[[ServerEvent], object]) -> Callable[[], None]: ...
    def answer(self, etype: str, fn: Callable[[ServerEvent], object] | None = None) -> Any:
        """Answer a server's request: ``value = await fn(event)`` goes back under its ``rtype``.

        An answered request does not reach `recv`. Requests are answered at once, beside each
        other; one whose ``fn`` raises is logged and not answered. Returns and raises as `on`;
        ValueError for a second answer to a type, and for ``"*"``.
        """
        return self._register("answer", etype, fn, answers=True)

    def _register(
        self, verb: str, etype: str, fn: Callable[[ServerEvent], object] | None, **options: bool
    ) -> Any:
        self._heed(self._connection)
        return register(self._handlers, verb, ("event",), etype, fn, **options)

    def _heed(self, connection: Connection | None) -> None:
        """Somebody wants to see events when they are read."""
        if connection is None or connection is self._heeded:
            return
        if connection.state in (State.OPEN, State.GAP):
            connection.home.check()
            self._heeded = connection
            assert self._handler is not None
            self._handler.reader = Dispatch(
                connection,
                self._handlers,
                received,
                # an answer is of no kind, and is not replaced by another one
                Sender(connection.outbox, self._encode, self.send.throttle, self.uri),
                self._options.inbox,
                self._freshness,
                self._scene,
            )

    def observe(self, fn: Observer) -> Callable[[], None]:
        """Call ``fn(direction, messages)`` for all that is on the wire: payloads, in order.

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

    def lease(self, etype: str, *, max_age: float) -> Lease:
        """``with client.lease("POSE", max_age=0.1) as lease:`` runs while events keep coming.

        The block is a cancel scope, ``lease.scope``. Its deadline is ``max_age`` seconds after
        the newest event of the type, or after the entry if that one is older or there is none;
        each one that is read moves it on. At the deadline the block is cancelled, and leaving it
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
