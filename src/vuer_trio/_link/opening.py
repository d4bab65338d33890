"""Starting a connection, and what is left of its exceptions."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from .._runtime import Runtime
from .link import CLEANUP

__all__ = ["open_connection", "unwrap"]

log = logging.getLogger("vuer_trio.link")


class Opening(Protocol):
    """What can be opened: a `Keeper`, or what has several of them, one after another."""

    rt: Runtime
    uri: str
    over: Any

    async def run(self, status: Any) -> None:
        """Its life; ``status.started()`` gets None when it is open, or what it failed with."""

    def abort(self) -> None:
        """End it at once."""


async def open_connection(keeper: Opening, nursery: Any) -> Exception | None:
    """Run ``keeper`` in ``nursery``, or without one in a system task, from which nothing escapes.

    Returns None once it is open, or what it failed with. Cancelled: nothing is left of it. The
    connection may be shielded from its birth, because whoever waits for it here also ends it.
    """
    status = _Status(keeper.rt)

    async def vuer_link() -> None:
        await keeper.run(status)

    async def vuer_link_in_background() -> None:
        try:
            await keeper.run(status)
        except Exception:
            log.exception("the connection to %s failed", keeper.uri)

    if nursery is None:
        keeper.rt.spawn_system_task(vuer_link_in_background)
    else:
        nursery.start_soon(vuer_link)
    try:
        await status.event.wait()
    except BaseException:
        keeper.abort()
        with keeper.rt.CancelScope(shield=True, deadline=keeper.rt.current_time() + CLEANUP):
            await keeper.over.wait()
        raise
    return status.failure


class _Status:
    """What a connection says of its opening."""

    def __init__(self, rt: Runtime) -> None:
        self.event = rt.Event()
        self.failure: Exception | None = None

    def started(self, failure: Exception | None) -> None:
        """The first word counts."""
        if not self.event.is_set():
            self.failure = failure
            self.event.set()


def unwrap(group: BaseExceptionGroup[BaseException], body: BaseException | None) -> BaseException:
    """The one exception to raise for a nursery's group.

    The background tasks raise nothing of their own, so it holds what the ``body`` raised, or a
    KeyboardInterrupt, and perhaps cancellations.
    """
    for exc in group.exceptions:
        if isinstance(exc, KeyboardInterrupt | SystemExit):
            return exc
    own = isinstance(body, Exception | BaseExceptionGroup) or body in group.exceptions
    if body is not None and own:  # and no cancellation that the nursery has taken back
        return body
    found: BaseException | None = group.subgroup((KeyboardInterrupt, SystemExit))
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    if found is not None:
        return found
    ordinary = [exc for exc in group.exceptions if isinstance(exc, Exception)]
    return (ordinary or group.exceptions)[0]
