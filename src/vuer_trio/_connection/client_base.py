"""The life of a client: as a block, as a task in a nursery, or opened and closed by hand."""

from __future__ import annotations

import logging
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from .._errors import ClientClosed, ConnectionClosed, ConnectionFailed, renew
from .._interrupts import protected_methods
from .._nursery import open_plain_nursery
from .._reentrant import ReentrantContextManager
from .._runtime import Runtime, runtime
from .close_info import check_close, closed_error
from .connection import Connection
from .duplex import Duplex, In, Out
from .link_changes import Connected, Disconnected
from .opening import open_connection
from .sender import Sender
from .state import State

if TYPE_CHECKING:
    from .._async_types import Nursery, TaskStatus

__all__ = ["ClientBase"]

log = logging.getLogger("vuer_trio.link")


@protected_methods
class ClientBase(Duplex[Out, In], ReentrantContextManager):
    """The base class of clients. Subclasses create the connections.

    ``every``: yield to other tasks at every call. ``unsafe`` is a warning to emit when it is opened
    for the first time.
    """

    def __init__(
        self, sender: Sender[Out], decode: Callable[[Any], In], *, every: bool, unsafe: str
    ) -> None:
        super().__init__(sender, decode)
        self._connection = None
        self._abandon: Callable[[], object] | None = None
        self._every = every
        self._unsafe = unsafe

    def _new_connection(self, rt: Runtime, shielded: bool, made: Callable[[], None]) -> Connection:
        """Create a connection, without opening it.

        Its handler calls ``made()`` in `connection_made`, then drops it, so that the connection
        does not keep the client alive.
        """
        raise NotImplementedError

    def _opened(self, connection: Connection) -> None:
        """The connection is open, and nothing has been read yet."""
        self._join(connection, every=self._every)

    # ---- state

    @property
    def uri(self) -> str:
        """The URI without secrets: no password, no values in the query."""
        return self._sender.uri

    @property
    def _alive(self) -> bool:
        """Whether it is open, or will be without further calls."""
        alive = (State.OPENING, State.OPEN, State.GAP)
        connection = self._connection
        return connection is not None and connection.state in alive and not connection.home.forked

    @property
    def subprotocol(self) -> str | None:
        """The server's choice from ``subprotocols``."""
        return self._connection.subprotocol if self._connection else None

    @property
    def generation(self) -> int:
        """The number of connections opened so far."""
        return self._connection.generation if self._connection else 0

    def link_changes(self) -> AsyncIterator[Connected | Disconnected]:
        """Iterate over `Connected` and `Disconnected` from now on, until no more can come.

        Each call makes an independent iterator, which keeps the newest 1,000 changes.
        """
        if self._connection is None:
            raise ClientClosed(f"{self!r}: there is no connection to watch yet")
        return self._connection.changes.watch(self._connection.rt)

    # ---- opening

    @asynccontextmanager
    async def _in_block(self) -> AsyncIterator[None]:
        body: BaseException | None = None
        try:
            async with open_plain_nursery(runtime()) as nursery:
                connection = await self._open(nursery, shielded=True)  # until the block ends
                try:
                    yield
                except BaseException as exc:
                    body = exc
                    connection.abort()
                    raise
                await self.aclose()
        except BaseException as exc:
            if exc is body:
                self._tell_of_loss(exc)
            raise

    def _tell_of_loss(self, exc: BaseException) -> None:
        """Make the loss of the connection the context of the exception that left the block."""
        connection = self._connection
        if (
            connection is not None
            and connection.close_info is not None
            and connection.close_info.by == "loss"
            and isinstance(exc, Exception)
            and exc.__context__ is None
            and not isinstance(exc, ConnectionClosed)
        ):
            exc.__context__ = closed_error(connection.close_info, connection.uri)

    async def connect(self, nursery: Nursery | None = None) -> Self:
        """Open the connection, and keep it open until `close`.

        Its tasks run in ``nursery``, or without one in a system task, and never fail there:
        failures are raised by the next call. Raises ConnectionFailed, and RuntimeError while it
        is connected; after a loss it opens a new connection. Cancelled: nothing is left open.
        """
        await self._open(nursery, shielded=False)
        return self

    async def run(self, *, task_status: TaskStatus[Self] | None = None) -> None:
        """Run a connection: ``client = await nursery.start(VuerClient(...).run)``.

        Returns after `close` or, without reconnecting, after a normal close by the server. Raises
        ConnectionFailed, and ConnectionClosed on a loss. Cancelled: closes immediately.
        """
        async with self:
            assert self._connection is not None
            connection = self._connection
            if task_status is not None:
                task_status.started(self)
            await connection.over.wait()
        error = connection.inbox.closed
        if isinstance(error, ConnectionFailed) or (
            isinstance(error, ConnectionClosed) and not error.normal
        ):
            raise renew(error)

    def _warn(self) -> None:
        if self._unsafe:
            log.warning("%s", self._unsafe)
            self._unsafe = ""

    async def _open(self, nursery: Nursery | None, *, shielded: bool) -> Connection:
        if self._alive:
            raise RuntimeError(f"{self!r} is already connected; close it first")
        rt = runtime()
        self._warn()
        previous = self._connection
        connection = self._new_connection(rt, shielded, lambda: self._opened(connection))
        connection.generation = self.generation
        self._connection = connection
        try:
            failure = await open_connection(connection, nursery)
            if failure is not None:
                error = connection.wrap_error(failure)
                raise error from (failure if error is not failure else failure.__cause__)
        except BaseException:
            self._connection = previous
            raise
        if nursery is None:
            call = rt.loop_caller()
            self._abandon = lambda: call(connection.abort)
        return connection

    # ---- closing

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Send what is enqueued, close, and wait for the peer's answer.

        ``close_timeout`` limits the time without progress, and the wait for the answer. Raises
        ConnectionClosed with the number of messages that could not be sent, if there are any.
        Without a connection it does nothing. Raises ValueError and TypeError for an invalid code or
        reason. Cancelled: closes immediately.
        """
        check_close(code, reason)
        self._abandon = None
        if self._connection is not None:
            await self._connection.aclose(code, reason)

    close = aclose

    def __del__(self) -> None:
        abandon = getattr(self, "_abandon", None)
        if abandon is not None and self._alive:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=1, source=self)
            with suppress(RuntimeError):  # the loop, and so the connection, has ended
                abandon()
