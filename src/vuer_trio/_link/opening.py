"""Starting a link: in a nursery, or in the background."""

from __future__ import annotations

import logging
from typing import Any

from .._runtime import Runtime
from .link import Link

__all__ = ["open_in_background", "open_in_nursery", "unwrap"]

log = logging.getLogger("vuer_trio.link")


async def open_in_nursery(link: Link, nursery: Any) -> Exception | None:
    """Run ``link`` in ``nursery``; None once it is open, or what it failed with.

    Cancelled: nothing is left of it.
    """
    failure: Exception | None = await nursery.start(_run(link))
    return failure


def _run(link: Link) -> Any:
    async def vuer_link(*, task_status: Any) -> None:
        await link.run(task_status=task_status)

    return vuer_link


class _Status:
    """A ``task_status`` for a task that nobody's nursery starts."""

    def __init__(self, rt: Runtime) -> None:
        self.event = rt.Event()
        self.failure: Exception | None = None

    def started(self, failure: Exception | None) -> None:
        self.failure = failure
        self.event.set()


async def open_in_background(link: Link) -> Exception | None:
    """Run ``link`` in a system task, from which nothing escapes; as `open_in_nursery`."""
    status = _Status(link.rt)

    async def vuer_link() -> None:
        try:
            await link.run(task_status=status)
        except Exception:
            log.exception("the connection to %s failed", link.uri)

    link.rt.spawn_system_task(vuer_link)
    try:
        await status.event.wait()
    except BaseException:
        link.abort()
        raise
    return status.failure


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
