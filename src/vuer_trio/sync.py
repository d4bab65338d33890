"""The blocking face: a Vuer client for notebooks and scripts, without async and await.

The client runs on Trio, in a thread of its own, behind anyio's blocking portal. Calls may come
from any thread, several at a time. The thread is a daemon: it does not keep a program alive.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from threading import Thread, current_thread
from typing import Any, Self

import anyio
import anyio.to_thread
import trio
from anyio.from_thread import BlockingPortal

from ._errors import ClientClosed, ConnectionClosed, renew
from .client import VuerClient
from .events import ClientEvent, ServerEvent
from .statistics import Statistics

__all__ = [
    "BlockingSender",
    "BlockingVuerClient",
    "Portal",
    "call_in_thread",
    "open_vuer_client",
]


class Portal:
    """A Trio loop in a thread; `stop` ends both.

    Raises RuntimeError in a Trio task: Trio lets no task block its loop so.
    """

    def __init__(self, name: str) -> None:
        _refuse_in_a_task()
        ready: Future[tuple[BlockingPortal, Callable[[], object]]] = Future()
        self._thread = Thread(target=_run, args=(ready,), name=name, daemon=True)
        self._thread.start()
        self._portal, self._cancel = ready.result()

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call a function, sync or async, in the loop, and wait for what it returns.

        Raises what it raises, and ClientClosed if the loop has ended. An exception that strikes
        the waiting thread, such as KeyboardInterrupt, cancels the call.
        """
        _refuse_in_a_task()
        try:
            future = self._portal.start_task_soon(fn, *args)
        except RuntimeError as exc:
            raise ClientClosed("this client was closed") from exc
        try:
            return future.result()
        except CancelledError:
            raise ClientClosed("this client was closed during the call") from None
        except BaseException:
            future.cancel()
            raise

    def stop(self, *, wait: bool = True) -> None:
        """End what runs in the loop, then the loop, then the thread. Twice is harmless."""
        self._cancel()
        if wait and self._thread is not current_thread():
            self._thread.join()

    def stop_after(self, fn: Callable[[], Awaitable[object]]) -> None:
        """Stop when an async function has returned; returns at once."""
        with suppress(RuntimeError):
            self._portal.start_task_soon(_stop_after, self._cancel, fn)


def _refuse_in_a_task() -> None:
    if trio.lowlevel.in_trio_task():
        raise RuntimeError(
            "a blocking method was called in a Trio task, by an async handler or beside the "
            "async client: use the async client there, and ordinary functions as handlers here"
        )


def _run(ready: Future[tuple[BlockingPortal, Callable[[], object]]]) -> None:
    async def main() -> None:
        token = trio.lowlevel.current_trio_token()

        def cancel() -> None:  # from anywhere, a garbage collector included
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(scope.cancel)

        with trio.CancelScope() as scope:
            async with BlockingPortal() as portal:
                ready.set_result((portal, cancel))
                await portal.sleep_until_stopped()

    try:
        anyio.run(main, backend="trio")
    except BaseException as exc:
        if ready.done():
            raise
        ready.set_exception(exc)


async def _stop_after(cancel: Callable[[], object], fn: Callable[[], Awaitable[object]]) -> None:
    try:
        await fn()
    finally:
        cancel()


async def call_in_thread(fn: Callable[..., object], *args: Any) -> None:
    """Call a handler in a worker thread, where it may block. An async one is then awaited.

    Cancelled: the thread is left to itself.
    """
    result = await anyio.to_thread.run_sync(fn, *args, abandon_on_cancel=True)
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
        self.send = BlockingSender(self)

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
        portal = self._portal or Portal(f"vuer-trio {self.uri}")
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
        if portal is not None:
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
        if portal is not None:
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
