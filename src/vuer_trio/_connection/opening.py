"""Starting a connection."""

from __future__ import annotations

import logging
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
    """What can be opened: a `Connection`, or what has several of them, one after another."""

    rt: Runtime
    uri: str
    over: AsyncEvent

    async def run(self, status: Any) -> None:
        """Its life; ``status.started()`` gets None when it is open, or what it failed with.

        ``await status.struck(exc)`` is told what leaves it, before anybody hears of the end.
        Returns, if calls are to raise an interrupt from then on, their error.
        """

    def abort(self) -> None:
        """End it at once."""


@protected
async def open_connection(connection: Opening, nursery: Nursery | None) -> Exception | None:
    """Run it in ``nursery``, or without one in a system task, from which nothing escapes.

    Returns None once it is open, or what it failed with. Cancelled: nothing is left of it. The
    connection may be shielded from its birth, because whoever waits for it here also ends it.
    """
    status = _Status(connection, in_background=nursery is None)

    @protected
    async def vuer_link() -> None:
        await connection.run(status)

    @protected
    async def vuer_link_in_background() -> None:
        try:
            await connection.run(status)
        except Exception:
            log.exception("the connection to %s failed", connection.uri)

    if nursery is None:
        connection.rt.spawn_system_task(vuer_link_in_background)
    else:
        nursery.start_soon(vuer_link)
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


class _Status:
    """What a connection says of its opening, and of an interrupt that ends it."""

    def __init__(self, connection: Opening, *, in_background: bool) -> None:
        self.event = connection.rt.Event()
        self.failure: Exception | None = None
        self._connection = connection
        self._in_background = in_background

    def started(self, failure: Exception | None) -> None:
        """The first word counts."""
        if not self.event.is_set():
            self.failure = failure
            self.event.set()

    @protected
    async def struck(self, exc: BaseException) -> ClientClosed | None:
        """See `Opening.run`. In a nursery an interrupt goes its way by itself."""
        interrupt = interrupt_in(exc)
        if interrupt is None or not self._in_background:
            return None
        if await self._connection.rt.raise_in_program(interrupt):
            return None
        log.error("%r ended the connection to %s", interrupt, self._connection.uri, exc_info=exc)
        error = ClientClosed(f"the connection to {self._connection.uri} was ended by {interrupt!r}")
        error.interrupt = interrupt
        return error
