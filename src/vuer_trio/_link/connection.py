"""A connection as its user holds it: a block, a task in a nursery, or the manual form."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Self

from .._errors import ConnectionClosed, renew
from .._runtime import Runtime, runtime
from .endings import closed_error
from .link import Link, State
from .opening import open_link, unwrap

__all__ = ["Connection"]


class Connection:
    """What every client has. A subclass makes the links, and wires them up once they are open."""

    def __init__(self, connect_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._link: Link | None = None
        self._generation = 0
        self._block: AbstractAsyncContextManager[None] | None = None
        self._abandon: Callable[[], object] | None = None

    def _new_link(self, rt: Runtime, shielded: bool) -> Link:
        """A link that is not open yet."""
        raise NotImplementedError

    def _opened(self, link: Link) -> None:
        """``link`` is open, and nothing has been read: send on it, receive from it."""
        raise NotImplementedError

    def _failed(self, exc: Exception) -> Exception:
        """What opening raises for what the dial failed with."""
        raise NotImplementedError

    # ---- state

    @property
    def connected(self) -> bool:
        """Whether it is open, in both directions."""
        return self._link is not None and self._link.state is State.OPEN

    @property
    def transport(self) -> str | None:
        """The transport in use: "trio-websocket" or "websockets"; None before a connection."""
        return self._link.transport_name if self._link else None

    @property
    def subprotocol(self) -> str | None:
        """What the server chose of ``subprotocols``."""
        return self._link.subprotocol if self._link else None

    @property
    def generation(self) -> int:
        """How many connections have been opened."""
        return self._generation

    @property
    def close_code(self) -> int | None:
        """The close code of the latest connection (RFC 6455 §7.4.1), None while it is open."""
        ending = self._link.ending if self._link else None
        return ending.code if ending else None

    @property
    def close_reason(self) -> str | None:
        """The reason that came with `close_code`."""
        ending = self._link.ending if self._link else None
        return ending.reason if ending else None

    # ---- opening

    async def __aenter__(self) -> Self:
        block = self._in_block()
        await block.__aenter__()
        self._block = block
        return self

    async def __aexit__(self, *exc: Any) -> bool | None:
        block, self._block = self._block, None
        assert block is not None
        return await block.__aexit__(*exc)

    @asynccontextmanager
    async def _in_block(self) -> AsyncIterator[None]:
        body: BaseException | None = None
        leaving: BaseException | None = None
        try:
            async with runtime().open_nursery() as nursery:
                link = await self._open(nursery, shielded=True)  # until the block ends
                try:
                    yield
                except BaseException as exc:
                    body = exc
                    link.abort()
                    raise
                await self.aclose()
        except BaseExceptionGroup as group:
            leaving = unwrap(group, body)
        # Raised out here, so that the nursery's group does not become its context.
        if leaving is not None:
            if leaving is body:
                self._tell_of_loss(leaving)
            raise leaving

    def _tell_of_loss(self, exc: BaseException) -> None:
        """A connection lost behind the body's back is the context of what the body raised."""
        link = self._link
        if (
            link is not None
            and link.ending is not None
            and link.ending.by == "loss"
            and isinstance(exc, Exception)
            and exc.__context__ is None
            and not isinstance(exc, ConnectionClosed)
        ):
            exc.__context__ = closed_error(link.ending, link.uri)

    async def connect(self, nursery: Any = None) -> Self:
        """Open the connection, and keep it open until `close`.

        Its tasks run in ``nursery``, or without one in a system task; neither is ever disturbed:
        failures are raised by the next call. Raises ConnectionFailed, and RuntimeError while it
        is connected; after a loss it opens a new connection. Cancelled: nothing is left open.
        """
        await self._open(nursery, shielded=False)
        return self

    async def run(self, *, task_status: Any = None) -> None:
        """Carry a connection: ``client = await nursery.start(VuerClient(...).run)``.

        Returns when it is closed by `close` or, in order, by the server. Raises ConnectionFailed,
        and ConnectionClosed on a loss. Cancelled: leaves at once.
        """
        async with self:
            assert self._link is not None
            link = self._link
            if task_status is not None:
                task_status.started(self)
            await link.over.wait()
        error = link.inbox.closed
        if isinstance(error, ConnectionClosed) and not error.normal:
            raise renew(error)

    async def _open(self, nursery: Any, *, shielded: bool) -> Link:
        if self._link is not None and self._link.state in (State.OPENING, State.OPEN):
            raise RuntimeError(f"{self!r} is connected already; close it first")
        rt = runtime()
        previous = self._link
        self._link = link = self._new_link(rt, shielded)
        link.on_open = self._opened
        failure: Exception | None = None
        try:
            with rt.move_on_after(self._connect_timeout) as scope:
                failure = await open_link(link, nursery)
            if scope.cancelled_caught:
                failure = TimeoutError(f"it was not open within {self._connect_timeout:g} s")
            if failure is not None:
                raise self._failed(failure) from failure
        except BaseException:
            self._link = previous
            raise
        self._generation += 1
        if nursery is None:
            call = rt.loop_caller()
            self._abandon = lambda: call(link.abort)
        return link

    # ---- closing

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Send what is enqueued, close, and wait for the peer's answer.

        ``close_timeout`` bounds the time without progress, and the wait for the answer. Raises
        ConnectionClosed with the number of messages that could not be sent, if there are any.
        Without a connection it does nothing. Cancelled: leaves at once.
        """
        self._abandon = None
        if self._link is not None:
            await self._link.aclose(code, reason)

    close = aclose

    async def wait_closed(self) -> None:
        """Wait until the connection has ended, whoever ended it, and its handlers with it."""
        if self._link is not None:
            await self._link.over.wait()

    def __del__(self) -> None:
        abandon = getattr(self, "_abandon", None)
        if abandon is not None and self.connected:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, stacklevel=1, source=self)
            with suppress(RuntimeError):  # the loop has ended, and the connection with it
                abandon()
