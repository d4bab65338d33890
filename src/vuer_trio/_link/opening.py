"""Starting a link, and what is left of its exceptions."""

from __future__ import annotations

import logging
from typing import Any

from .._runtime import Runtime
from .link import CLEANUP, Link

__all__ = ["open_link", "unwrap"]

log = logging.getLogger("vuer_trio.link")


async def open_link(link: Link, nursery: Any) -> Exception | None:
    """Run ``link`` in ``nursery``, or without one in a system task, from which nothing escapes.

    Returns None once it is open, or what it failed with. Cancelled: nothing is left of it. The
    link may be shielded from its birth, because whoever waits for it here also ends it.
    """
    status = _Status(link.rt)

    async def vuer_link() -> None:
        await link.run(status)

    async def vuer_link_in_background() -> None:
        try:
            await link.run(status)
        except Exception:
            log.exception("the connection to %s failed", link.uri)

    if nursery is None:
        link.rt.spawn_system_task(vuer_link_in_background)
    else:
        nursery.start_soon(vuer_link)
    try:
        await status.event.wait()
    except BaseException:
        link.abort()
        with link.rt.CancelScope(shield=True, deadline=link.rt.current_time() + CLEANUP):
            await link.over.wait()
        raise
    return status.failure


class _Status:
    """What a link says of its opening."""

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
    if body is not None:
        return body
    ordinary = [exc for exc in group.exceptions if isinstance(exc, Exception)]
    return (ordinary or group.exceptions)[0]
