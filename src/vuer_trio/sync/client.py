"""The blocking client."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from inspect import iscoroutinefunction
from threading import current_thread
from typing import Any, Self, TypeVar, cast, overload

from .._client.client import VuerClient
from .._connection.link_changes import Connected, Disconnected, Watch
from .._connection.statistics import Statistics
from .._errors import ClientClosed, ConnectionClosed, renew
from ..events import ClientEvent, ServerEvent, Set
from ..scene import Scene
from .lease import BlockingLease
from .portal import Portal

__all__ = ["BlockingSender", "BlockingVuerClient"]


F = TypeVar("F", bound=Callable[[ServerEvent], object])


def _refuse_in_a_handler(portal: Portal) -> None:
    if portal.is_current:
        raise RuntimeError(
            "a handler of a blocking client called what waits for that client, whose thread it "
            "runs in: use `client.send @ event` there, or hand the event to another thread"
        )


class BlockingSender:
    """``send @ event`` does not wait for room; ``send(event)`` does."""

    def __init__(self, owner: BlockingVuerClient) -> None:
        self._owner = owner

    def __matmul__(self, event: ClientEvent) -> None:
        """Enqueue the event now. Raises OutboxFull, EncodeError, ConnectionClosed, ClientClosed."""
        client = self._owner._client
        self._owner._now(client.send_nowait, event)

    def __call__(self, event: ClientEvent, *, retain: bool = False) -> None:
        """Wait for room, then enqueue it. Raises EncodeError, ConnectionClosed, ClientClosed."""
        client = self._owner._client
        self._owner._call(partial(client.send, event, retain=retain))


class BlockingVuerClient:
    """A connection to a Vuer server, for programs without an event loop.

    ``with open_vuer_client(uri) as client`` opens the connection, and closes it at the end of the
    block; in a notebook, use `connect` and `close`. It takes the arguments of `VuerClient`, and its
    methods raise the same errors. After `close`, it can be opened again.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._portal: Portal | None = None
        self._client = VuerClient(*args, **options)
        self._leases: list[BlockingLease] = []  # those that are held
        self._statistics = self._client.statistics()  # the last, when there is no loop to ask
        #: ``send @ event`` and ``send(event)``
        self.send: BlockingSender = BlockingSender(self)

    def _open_portal(self) -> Portal:
        portal = self._portal
        if portal is None:
            raise ClientClosed(
                f"Not connected to {self.uri}: open the client with `with`, or call "
                "client.connect()"
            )
        _refuse_in_a_handler(portal)
        return portal

    def _call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Make a call that may wait."""
        portal, thread = self._open_portal(), current_thread()
        for lease in self._leases.copy():
            if lease.binds(thread):
                fn = partial(lease.limit, fn)
        return portal.call(fn, *args)

    def _now(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Make a call that does not wait: allowed in handlers, and after a lease has expired."""
        portal = self._portal
        if portal is not None and portal.is_current:
            return fn(*args)
        return self._open_portal().call(fn, *args)

    # ---- state

    @property
    def uri(self) -> str:
        """The address of the server, without a password."""
        return self._client.uri

    @property
    def connected(self) -> bool:
        """Whether it is open, in both directions."""
        return self._client.connected

    @property
    def close_code(self) -> int | None:
        """The close code of the latest connection, None while it is open."""
        return self._client.close_code

    def statistics(self) -> Statistics:
        """Counts, queue sizes and times, as of now or of the end."""
        if self._portal is not None:
            self._statistics = self._now(self._client.statistics)
        return self._statistics

    def __repr__(self) -> str:
        return repr(self._client).replace("VuerClient", type(self).__name__)

    # ---- opening and closing

    def connect(self) -> Self:
        """Open the connection, and keep it open until `close`. Raises ConnectionFailed."""
        if self._portal is not None and self._client.connected:
            raise RuntimeError(f"{self!r} is already connected; close it first")
        portal = self._portal
        if portal is None or portal.forked:
            portal = Portal(f"vuer-trio {self.uri}")
        try:
            portal.call(self._client.connect)
        except BaseException:
            self._portal = None
            portal.stop()
            raise
        self._portal = portal
        return self

    def close(self) -> None:
        """Send what is enqueued, close, and end the thread.

        Raises ConnectionClosed with the number of messages that could not be sent. May be called
        twice.
        """
        if self._portal is not None:
            _refuse_in_a_handler(self._portal)
        portal, self._portal = self._portal, None
        if portal is not None and not portal.forked:
            try:
                portal.call(self._client.aclose)
            finally:
                with suppress(ClientClosed):
                    self._statistics = portal.call(self._client.statistics)
                portal.stop()

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(self, kind: Any, exc: BaseException | None, trace: Any) -> None:
        try:
            self.close()
        except ConnectionClosed:
            if exc is None:
                raise  # else the block's own exception tells more

    def __del__(self) -> None:
        portal = getattr(self, "_portal", None)
        if portal is not None and not portal.forked:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=1, source=self)
            self._client._abandon = None  # which would warn again
            portal.stop(wait=False)

    # ---- sending and receiving

    def send_nowait(self, event: ClientEvent) -> None:
        """The same as ``client.send @ event``."""
        self.send @ event

    def send_many(self, events: Iterable[ClientEvent]) -> None:
        """Wait for room, then enqueue all events in one step."""
        self._call(self._client.send_many, events)

    def flush(self, timeout: float | None = None) -> None:
        """Wait until the server has read everything enqueued so far. Raises CallTimeout."""
        self._call(self._client.flush, timeout)

    def recv(self, timeout: float | None = None) -> ServerEvent:
        """Wait for the next event. Raises RecvTimeout, ConnectionClosed, ProtocolError."""
        event: ServerEvent = self._call(self._client.recv, timeout)
        return event

    def recv_nowait(self) -> ServerEvent:
        """The next event, without waiting. Raises InboxEmpty if there is none, else as `recv`."""
        event: ServerEvent = self._now(self._client.recv_nowait)
        return event

    def recv_many(self, limit: int | None = None) -> list[ServerEvent]:
        """Wait for an event; return all that have arrived by then, up to ``limit``."""
        events: list[ServerEvent] = self._call(self._client.recv_many, limit)
        return events

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ServerEvent:
        """As `recv`, but ends on a normal close: code 1000 or 1001."""
        try:
            return self.recv()
        except ConnectionClosed as exc:
            if exc.normal:
                raise StopIteration from None
            raise renew(exc) from exc.__cause__

    # ---- what is seen when it is read

    @overload
    def on(self, etype: str, *, once: bool = ...) -> Callable[[F], F]: ...
    @overload
    def on(
        self, etype: str, fn: Callable[[ServerEvent], object], *, once: bool = ...
    ) -> Callable[[], None]: ...
    def on(
        self, etype: str, fn: Callable[[ServerEvent], object] | None = None, *, once: bool = False
    ) -> Any:
        """Call ``fn(event)`` for each event of a type; `recv` returns the event as well.

        ``fn`` is an ordinary function. It runs in the client's own thread and should return
        quickly, because the client does nothing else in the meantime. It may make calls that do not
        wait (``send @ event``, `latest`, `recv_nowait`); other calls raise RuntimeError, so pass
        the event to another thread for those. An exception is logged, and has no other effect. With
        ``fn``, `on` returns a function that removes the handler; as a decorator, it returns the
        function. It may be called before the client is opened, and applies to all its connections.
        """
        return self._register(partial(self._client.on, once=once), etype, fn)

    @overload
    def answer(self, etype: str) -> Callable[[F], F]: ...
    @overload
    def answer(self, etype: str, fn: Callable[[ServerEvent], object]) -> Callable[[], None]: ...
    def answer(self, etype: str, fn: Callable[[ServerEvent], object] | None = None) -> Any:
        """Answer a server's request: the result of ``fn(event)`` is sent back under its ``rtype``.

        `recv` does not return answered requests. If ``fn`` raises, the error is logged and no
        answer is sent. ``fn`` runs like a handler of `on`, and the return value is that of `on`.
        """
        return self._register(self._client.answer, etype, fn)

    def _register(
        self, register: Callable[..., Any], etype: str, fn: Callable[[ServerEvent], object] | None
    ) -> Any:
        def decorate(fn: F) -> F:
            add(fn)
            return fn

        def add(fn: Callable[[ServerEvent], object]) -> Callable[[], None]:
            if iscoroutinefunction(fn):
                raise TypeError(
                    f"the handler of {etype} is async: the blocking client takes ordinary functions"
                )
            return partial(self._anyhow, self._anyhow(register, etype, fn))

        return decorate if fn is None else add(fn)

    def _anyhow(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Make a call that neither waits nor needs a connection."""
        with suppress(ClientClosed):
            return self._now(fn, *args)
        return fn(*args)

    def latest(self, etype: str, *, max_age: float | None = None) -> ServerEvent:
        """The newest event of a type, received or not; see `VuerClient.latest`.

        Raises Stale if there is none, or if it was read more than ``max_age`` seconds ago.
        """
        event: ServerEvent = self._now(partial(self._client.latest, etype, max_age=max_age))
        return event

    def lease(self, etype: str | Sequence[str], *, max_age: float) -> BlockingLease:
        """``with client.lease("POSE", max_age=0.1) as lease:`` lasts while events keep arriving.

        If none has arrived for ``max_age`` seconds, calls on the client that wait in the block
        raise Stale, and so does leaving it. Nothing else is interrupted. See `BlockingLease`.
        """
        lease = self._now(partial(self._client.lease, etype, max_age=max_age))
        return BlockingLease(lease, self._open_portal, self._leases)

    @property
    def scene(self) -> Scene:
        """A copy of the server's scene, as a browser would show it now.

        It reflects all events that have been read, received or not. Raises RuntimeError without
        ``mirror_scene=True``.
        """
        scene: Scene = self._anyhow(self._copy_scene)
        return scene

    def _copy_scene(self) -> Scene:
        copy = Scene()
        copy.apply(Set(self._client.scene.to_set()))
        return copy

    def link_changes(self) -> Iterator[Connected | Disconnected]:
        """Iterate over `Connected` and `Disconnected`, from now on, until no more can follow.

        Each call returns a new iterator, which keeps the newest 1,000 changes. Waiting for them is
        best done in a separate thread.
        """
        return self._changes(cast("Watch", self._now(self._client.link_changes)))

    def _changes(self, watch: Watch) -> Iterator[Connected | Disconnected]:
        while True:
            try:
                yield self._call(watch.__anext__)
            except StopAsyncIteration:
                return
            except ClientClosed:
                break
        while (change := watch.take()) is not None:
            yield change

    def wait_closed(self) -> None:
        """Wait until the connection, whoever ends it, and its handlers have ended."""
        if self._portal is not None:
            with suppress(ClientClosed):  # in another thread, meanwhile
                self._call(self._client.wait_closed)
