"""The blocking face: a Vuer client for notebooks and scripts, without async and await.

The client runs on Trio, in a thread of its own, behind a portal. Calls may come from any thread,
several at a time. The thread is a daemon: it does not keep a program alive.
"""

from __future__ import annotations

import warnings
from _thread import start_new_thread
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, Self, TypeVar, cast, overload

import outcome
import trio

from ._client.client import VuerClient
from ._client.freshness import Lease
from ._connection.link_changes import Connected, Disconnected, Watch
from ._connection.statistics import Statistics
from ._errors import ClientClosed, ConnectionClosed, Stale, renew
from ._home import ANOTHER_PROCESS, Forkable
from ._interrupts import call_unprotected
from .events import ClientEvent, ServerEvent, Set
from .scene import Scene

__all__ = [
    "BlockingLease",
    "BlockingSender",
    "BlockingVuerClient",
    "Portal",
    "call_in_thread",
    "open_vuer_client",
]


F = TypeVar("F", bound=Callable[[ServerEvent], object])


class Portal(Forkable):
    """A Trio loop in a thread; `stop` ends both.

    A Ctrl-C may strike the main thread at any step, and Python's conditions and futures are torn
    by that. So whoever waits here waits in C, for a queue.

    Raises RuntimeError in a Trio task: Trio lets no task block its loop so.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        _refuse_in_a_task()
        ready: SimpleQueue[_Loop | BaseException] = SimpleQueue()
        self._thread = Thread(target=_run, args=(ready,), name=name, daemon=True)
        # A thread waits for the one that it starts, with a condition: let another one do that.
        start_new_thread(self._thread.start, ())
        try:
            loop = ready.get()
        except BaseException:
            start_new_thread(_give_up, (ready,))
            raise
        if isinstance(loop, BaseException):
            raise loop
        self._loop = loop

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call a function, sync or async, in the loop, and wait for what it returns.

        Raises what it raises, and ClientClosed if the loop has ended. An exception that strikes
        the waiting thread, such as KeyboardInterrupt, cancels the call.
        """
        if self.forked:
            raise RuntimeError(f"this client {ANOTHER_PROCESS}")
        _refuse_in_a_task()
        call = _Call(fn, args)
        try:
            if not self._loop.soon(call.start, self._loop):
                raise ClientClosed("this client was closed")
            answer = call.answers.get()
        except BaseException:
            self._loop.soon(call.scope.cancel)
            raise
        return answer.unwrap()

    @property
    def is_current(self) -> bool:
        """Whether the caller is in the loop's thread."""
        return self._thread is current_thread()

    def start(self, fn: Callable[..., Awaitable[None]], *args: Any) -> None:
        """In the loop: start a task there, which must not raise."""
        self._loop.start(fn, *args)

    def soon(self, fn: Callable[..., object], *args: Any) -> None:
        """Call a sync function in the loop, if that has not ended, without waiting for it."""
        self._loop.soon(fn, *args)

    def stop(self, *, wait: bool = True) -> None:
        """End what runs in the loop, then the loop, then the thread. May be called twice."""
        if self.forked:
            return  # the thread, and the connection, are the other process's
        self._loop.stop()
        if wait and self._thread is not current_thread():
            self._thread.join()

    def stop_after(self, fn: Callable[[], Awaitable[object]]) -> None:
        """Stop when an async function has returned; returns at once."""
        self._loop.soon(self._loop.start, _stop_after, self._loop.stop, fn)


def _refuse_in_a_task() -> None:
    if trio.lowlevel.in_trio_task():
        raise RuntimeError(
            "a blocking method was called in a Trio task, by an async handler or beside the "
            "async client: use the async client there, and ordinary functions as handlers here"
        )


def _refuse_in_a_handler(portal: Portal) -> None:
    if portal.is_current:
        raise RuntimeError(
            "a handler of a blocking client called what waits for that client, whose thread it "
            "runs in: use `client.send @ event` there, or hand the event to another thread"
        )


class _Loop:
    """A loop as other threads see it."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery: trio.Nursery | None = nursery
        self._token = trio.lowlevel.current_trio_token()

    def start(self, fn: Callable[..., Awaitable[None]], *args: Any) -> None:
        """In the loop: start a task. Raises RuntimeError if it is ending."""
        if self.nursery is None:
            raise RuntimeError("the loop has ended")
        self.nursery.start_soon(fn, *args)

    def soon(self, fn: Callable[..., object], *args: Any) -> bool:
        """Call a sync function in the loop; False if that has ended."""
        try:
            self._token.run_sync_soon(fn, *args)
        except trio.RunFinishedError:
            return False
        return True

    def stop(self) -> None:
        """End it: from anywhere, a garbage collector included."""
        self.soon(self._end)

    def _end(self) -> None:
        if self.nursery is not None:
            self.nursery.cancel_scope.cancel()


class _Call:
    """A call, from another thread into a loop."""

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.answers: SimpleQueue[outcome.Outcome[Any]] = SimpleQueue()
        self.scope = trio.CancelScope()
        self._fn = fn
        self._args = args
        self._context = copy_context()  # a handler's calls know that they are such

    def start(self, loop: _Loop) -> None:
        """In the loop."""
        try:
            self._context.run(loop.start, self._run)
        except RuntimeError:  # it is ending
            self.answers.put(_closed())

    async def _run(self) -> None:
        answer: outcome.Outcome[Any] = _closed()
        try:
            with self.scope:
                answer = await outcome.acapture(call_unprotected, self._fn, *self._args)
                if isinstance(answer, outcome.Error) and isinstance(answer.error, trio.Cancelled):
                    answer.unwrap()
        finally:
            self.answers.put(answer)


def _closed() -> outcome.Error:
    return outcome.Error(ClientClosed("this client was closed during the call"))


def _run(ready: SimpleQueue[_Loop | BaseException]) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            loop = _Loop(nursery)
            ready.put(loop)
            try:
                await trio.sleep_forever()
            finally:  # a nursery has a `__del__`, which would swallow a Ctrl-C in the main thread
                loop.nursery = None

    try:
        trio.run(main)
    except BaseException as exc:
        ready.put(exc)
        raise


def _give_up(ready: SimpleQueue[_Loop | BaseException]) -> None:
    """Nobody waits for this loop any more."""
    loop = ready.get()
    if isinstance(loop, _Loop):
        loop.stop()


async def _stop_after(stop: Callable[[], object], fn: Callable[[], Awaitable[object]]) -> None:
    try:
        await fn()
    finally:
        stop()


async def call_in_thread(fn: Callable[..., object], *args: Any) -> None:
    """Call a handler in a worker thread, where it may block. An async one is then awaited.

    Cancelled: the thread is left to itself.
    """
    result = await trio.to_thread.run_sync(fn, *args, abandon_on_cancel=True)
    if isawaitable(result):
        await result


class BlockingSender:
    """``send @ e`` does not wait for room, ``send(e)`` does."""

    def __init__(self, owner: BlockingVuerClient) -> None:
        self._owner = owner

    def __matmul__(self, event: ClientEvent) -> None:
        """Enqueue it now. Raises OutboxFull, EncodeError, ConnectionClosed, ClientClosed."""
        client = self._owner._client
        self._owner._now(client.send_nowait, event)

    def __call__(self, event: ClientEvent, *, retain: bool = False) -> None:
        """Wait for room, then enqueue it. Raises EncodeError, ConnectionClosed, ClientClosed."""
        client = self._owner._client
        self._owner._call(partial(client.send, event, retain=retain))


class BlockingLease:
    """``with client.lease(etype, max_age=...) as lease:``, for code that nobody can cancel.

    It holds for as long as events of the type keep coming, as a `Lease` does. When it has run out,
    calls in this thread that wait for the client raise Stale, those that wait at that moment among
    them: `recv`, `send(event)`, `flush`, iteration. `check` raises it as well, and so does leaving
    the block, unless that has raised something of its own. Whatever else the block does goes on, so
    a loop that waits for other things calls `check` in each round. ``send @ event`` and other
    calls that do not wait still work: to say that the robot has stopped, for one.

    It may be entered again after it was left.
    """

    def __init__(self, owner: BlockingVuerClient, lease: Lease) -> None:
        self.etype: str = lease.etype
        #: seconds
        self.max_age: float = lease.max_age
        self._owner = owner
        self._lease = lease
        self._portal: Portal | None = None  # while it is entered
        self._thread: Thread | None = None
        self._left: trio.Event | None = None
        self._over: trio.Event | None = None
        self._error: Stale | None = None
        self._scopes: set[trio.CancelScope] = set()  # of calls that wait

    @property
    def expired(self) -> bool:
        """Whether it has run out."""
        return self._error is not None

    def check(self) -> None:
        """Raise Stale if it has run out."""
        if self._error is not None:
            raise renew(self._error)

    def __enter__(self) -> Self:
        if self._portal is not None:
            raise RuntimeError(f"{self!r} is in use already; take another one")
        portal = self._owner._open_portal()
        self._error = None
        try:
            portal.call(self._begin, portal)
        except BaseException:
            portal.soon(self._leave)
            raise
        self._portal, self._thread = portal, current_thread()
        self._owner._leases.append(self)
        return self

    def __exit__(self, kind: Any, exc: BaseException | None, trace: Any) -> None:
        portal, self._portal = self._portal, None
        assert portal is not None
        self._owner._leases.remove(self)
        if not portal.forked:
            with suppress(ClientClosed):  # with which it has ended
                portal.call(self._leave_and_wait)
        if exc is None:
            self.check()

    def binds(self, thread: Thread) -> bool:
        """Whether what a thread waits for ends when it runs out."""
        return self._thread is thread

    # ---- in the loop

    def _begin(self, portal: Portal) -> None:
        self._left, self._over = trio.Event(), trio.Event()
        portal.start(self._hold, self._left, self._over)

    def _leave(self) -> None:
        if self._left is not None:
            self._left.set()

    async def _leave_and_wait(self) -> None:
        assert self._left is not None
        assert self._over is not None
        self._left.set()
        await self._over.wait()

    async def _hold(self, left: trio.Event, over: trio.Event) -> None:
        try:
            with self._lease:
                await left.wait()
        except Stale as error:
            self._error = error
            for scope in self._scopes:
                scope.cancel()
        finally:
            over.set()

    async def limit(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call ``fn``, sync or async, for as long as it holds."""
        if self._error is None:
            with trio.CancelScope() as scope:
                self._scopes.add(scope)
                try:
                    return await call_unprotected(fn, *args)
                finally:
                    self._scopes.discard(scope)
        self.check()

    def __repr__(self) -> str:
        return repr(self._lease)


class BlockingVuerClient:
    """A connection to a Vuer server, for programs without an event loop.

    ``with open_vuer_client(uri) as client`` opens it, and closes it at the end of the block; in a
    notebook `connect` and `close` do. Its arguments are those of `VuerClient`, and its methods
    raise what those of that client do. After `close` it may be opened again.
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
        """Call what may wait."""
        portal, thread = self._open_portal(), current_thread()
        for lease in self._leases.copy():
            if lease.binds(thread):
                fn = partial(lease.limit, fn)
        return portal.call(fn, *args)

    def _now(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call what does not wait: in a handler, too, and whatever has run out."""
        portal = self._portal
        if portal is not None and portal.is_current:
            return fn(*args)
        return self._open_portal().call(fn, *args)

    # ---- state

    @property
    def uri(self) -> str:
        """Where it connects to, without a password."""
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
        """Counts, depths and times, as they are now or were at the end."""
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

        Raises ConnectionClosed with the number of messages that could not be sent. Twice is
        harmless.
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
        """The next event, if it is there. Raises InboxEmpty if not, else as `recv`."""
        event: ServerEvent = self._now(self._client.recv_nowait)
        return event

    def recv_many(self, limit: int | None = None) -> list[ServerEvent]:
        """Wait for one event; all that are there then, up to ``limit``."""
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
        """Call ``fn(event)`` for each event of a type; `recv` gets it as well.

        ``fn`` is an ordinary function, and runs in the client's own thread, where nothing else of
        the client runs meanwhile: it should be quick. In it, calls that do not wait work
        (``send @ event``, `latest`, `recv_nowait`), the others raise RuntimeError; for those, hand
        the event to another thread. What it raises is logged, and ends nothing. With ``fn`` it
        returns a function that takes it back; as a decorator it returns the function. It may be
        called before the client is opened, and holds for all its connections.
        """
        return self._register(partial(self._client.on, once=once), etype, fn)

    @overload
    def answer(self, etype: str) -> Callable[[F], F]: ...
    @overload
    def answer(self, etype: str, fn: Callable[[ServerEvent], object]) -> Callable[[], None]: ...
    def answer(self, etype: str, fn: Callable[[ServerEvent], object] | None = None) -> Any:
        """Answer a server's request: what ``fn(event)`` returns goes back under its ``rtype``.

        An answered request does not reach `recv`; one whose ``fn`` raises is logged and not
        answered. ``fn`` runs, and the call returns, as those of `on`.
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
        """Call what does not wait, and does not need a connection."""
        with suppress(ClientClosed):
            return self._now(fn, *args)
        return fn(*args)

    def latest(self, etype: str, *, max_age: float | None = None) -> ServerEvent:
        """The newest event of a type, whoever has received it; see `VuerClient.latest`.

        Raises Stale if there is none, or if it was read more than ``max_age`` seconds ago.
        """
        event: ServerEvent = self._now(partial(self._client.latest, etype, max_age=max_age))
        return event

    def lease(self, etype: str, *, max_age: float) -> BlockingLease:
        """``with client.lease("POSE", max_age=0.1) as lease:`` holds while events keep coming.

        When none has come for ``max_age`` seconds, what waits for the client in the block raises
        Stale, and so does leaving it; nothing else is interrupted. See `BlockingLease`.
        """
        return BlockingLease(self, self._now(partial(self._client.lease, etype, max_age=max_age)))

    @property
    def scene(self) -> Scene:
        """A copy of the server's scene, as a browser would have it by now.

        It is that of all that has been read, by whomever it was received. Raises RuntimeError
        without ``mirror_scene=True``.
        """
        scene: Scene = self._anyhow(self._copy_scene)
        return scene

    def _copy_scene(self) -> Scene:
        copy = Scene()
        copy.apply(Set(self._client.scene.to_set()))
        return copy

    def link_changes(self) -> Iterator[Connected | Disconnected]:
        """Iterate `Connected` and `Disconnected`, from now on, until no more can come.

        Each call makes an iterator of its own, which keeps the newest 1,000 changes; a thread of
        its own may wait for them.
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
        """Wait until the connection has ended, whoever ended it, and its handlers with it."""
        if self._portal is not None:
            with suppress(ClientClosed):  # in another thread, meanwhile
                self._call(self._client.wait_closed)


#: ``with open_vuer_client(uri, ...) as client``: the client is its own context manager
open_vuer_client = BlockingVuerClient
