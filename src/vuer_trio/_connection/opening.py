"""Starting a connection."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from .._errors import ClientClosed
from .._interrupts import interrupt_in, protected
from .._runtime import Runtime
from .link import CLEANUP

if TYPE_CHECKING:
    from .._async_types import AsyncEvent, Nursery

__all__ = ["open_connection"]

log = logging.getLogger("vuer_trio.link")


class Opening(Protocol):
    """Something to open: a `Connection`, or a session with several of them in sequence."""

    rt: Runtime
    uri: str
    over: AsyncEvent

    async def run(self, status: Any) -> None:
        """Run it; ``status.started()`` gets None when it is open, or the exception.

        ``await status.struck(exc)`` is called with an exception that leaves it, before pending
        calls fail. If it was an interrupt that calls should raise, it returns their error.
        """

    def abort(self) -> None:
        """End it immediately."""


@protected
async def open_connection(connection: Opening, nursery: Nursery | None) -> Exception | None:
    """Run a connection in ``nursery``, or in a system task, from which no exception escapes.

    Returns None once it is open, or the exception. Cancelled: nothing is left of it. The connection
    may be shielded from the start, because cancelling this call ends it.
    """
    status = _Status(connection, in_background=nursery is None)

    if nursery is None:
        connection.rt.spawn_system_task(partial(_run_in_background, connection, status))
    else:
        nursery.start_soon(connection.run, status)
    try:
        await status.event.wait()
    except BaseException:
        connection.abort()
        with connection.rt.CancelScope(
            shield=True, deadline=connection.rt.current_time() + CLEANUP
        ):
            await connection.over.wait()
        raise
    return status.failure


@protected
async def _run_in_background(connection: Opening, status: _Status) -> None:
    try:
        await connection.run(status)
    except Exception:
        log.exception("the connection to %s failed", connection.uri)


class _Status:
    """The outcome of opening, and the handling of an interrupt that ends the connection."""

    def __init__(self, connection: Opening, *, in_background: bool) -> None:
        self.event = connection.rt.Event()
        self.failure: Exception | None = None
        self._connection = connection
        self._in_background = in_background

    def started(self, failure: Exception | None) -> None:
        """Report success, or the exception; later calls are ignored."""
        if not self.event.is_set():
            self.failure = failure
            self.event.set()

    @protected
    async def struck(self, exc: BaseException) -> ClientClosed | None:
        """See `Opening.run`. In a nursery, an interrupt propagates by itself."""
        interrupt = interrupt_in(exc)
        if interrupt is None or not self._in_background:
            return None
        if await self._connection.rt.raise_in_program(interrupt):
            return None
        log.error("%r ended the connection to %s", interrupt, self._connection.uri, exc_info=exc)
        error = ClientClosed(f"the connection to {self._connection.uri} was ended by {interrupt!r}")
        error.interrupt = interrupt
        return error
