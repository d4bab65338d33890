"""The blocking face: a Vuer client for notebooks and scripts, without async and await.

The client runs on Trio, in a thread of its own, behind a portal. Calls may come from any thread,
several at a time. The thread is a daemon: it does not keep a program alive.
"""

from __future__ import annotations

import warnings
from _thread import start_new_thread
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from inspect import isawaitable
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, Self

import outcome
import trio

from ._client.client import VuerClient
from ._connection.statistics import Statistics
from ._errors import ClientClosed, ConnectionClosed, renew
from ._home import ANOTHER_PROCESS, Forkable
from ._interrupts import call_unprotected
from .events import ClientEvent, ServerEvent

__all__ = [
    "BlockingSender",
    "BlockingVuerClient",
    "Portal",
    "call_in_thread",
    "open_vuer_client",
]


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

    def stop(self, *, wait: bool = True) -> None:
        """End what runs in the loop, then the loop, then the thread. Twice is harmless."""
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
        self._owner._call(client.send_nowait, event)

    def __call__(self, event: ClientEvent, *, retain: bool = False) -> None:
        """Wait for room, then enqueue it. Raises EncodeError, ConnectionClosed, ClientClosed."""
        client = self._owner._client
        self._owner._call(partial(client.send, event, retain=retain))


class BlockingVuerClient:
    """A connection to a Vuer server, for programs without an event loop.

    ``with open_vuer_client(uri) as client`` opens it, and closes it at the end of the block; in a
    notebook `connect` and `close` do. Its arguments are those of `VuerClient`, and its methods
    raise what those of that client do. After `close` it may be opened again.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._portal: Portal | None = None
        self._client = VuerClient(*args, **options)
        self._statistics = self._client.statistics()  # the last, when there is no loop to ask
        #: ``send @ event`` and ``send(event)``
        self.send: BlockingSender = BlockingSender(self)

    def _call(self, fn: Callable[..., Any], *args: Any) -> Any:
        portal = self._portal
        if portal is None:
            raise ClientClosed(
                f"Not connected to {self.uri}: open the client with `with`, or call "
                "client.connect()"
            )
        return portal.call(fn, *args)

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
            self._statistics = self._call(self._client.statistics)
        return self._statistics

    def __repr__(self) -> str:
        return repr(self._client).replace("VuerClient", type(self).__name__)

    # ---- opening and closing

    def connect(self) -> Self:
        """Open the connection, and keep it open until `close`. Raises ConnectionFailed."""
        if self._portal is not None and self._client.connected:
            raise RuntimeError(f"{self!r} is connected already; close it first")
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
        event: ServerEvent = self._call(self._client.recv_nowait)
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


#: ``with open_vuer_client(uri, ...) as client``: the client is its own context manager
open_vuer_client = BlockingVuerClient
