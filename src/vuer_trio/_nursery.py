"""Nurseries whose tasks raise nothing of their own, so that no exception leaves in a group."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ._interrupts import interrupt_in, protected_block
from ._runtime import Runtime

if TYPE_CHECKING:
    from ._async_types import Nursery

__all__ = ["background_service", "open_plain_nursery", "unwrap"]


@protected_block
async def open_plain_nursery(rt: Runtime) -> AsyncGenerator[Nursery, None]:
    """A nursery out of which comes what the body raised, group or not, as it is.

    A KeyboardInterrupt or SystemExit goes first, whoever has raised it and in however many groups
    it lies; what else a task raises comes out if the body has raised nothing of its own.
    """
    body: BaseException | None = None
    try:
        async with rt.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as exc:
                body = exc
                raise
    except BaseExceptionGroup as group:
        failure = unwrap(group, body)
    else:
        return
    # Raised out here, so that the nursery's group does not become its context.
    raise failure


@protected_block
async def background_service(
    rt: Runtime, serve: Callable[..., Coroutine[Any, Any, None]], *args: Any
) -> AsyncGenerator[Any, None]:
    """Run ``serve(*args, task_status=...)`` beside the block, which gets what that reports.

    When the block ends, it is cancelled, and waited for. What it fails with before it has reported
    is raised.
    """
    async with open_plain_nursery(rt) as nursery:
        reported = await nursery.start(serve, *args)
        try:
            yield reported
        finally:
            nursery.cancel_scope.cancel()


def unwrap(group: BaseExceptionGroup[BaseException], body: BaseException | None) -> BaseException:
    """The one exception to raise for a nursery's group.

    The background tasks raise nothing of their own, so it holds what the ``body`` raised, or an
    interrupt, and perhaps cancellations.
    """
    interrupt = interrupt_in(group)
    if interrupt is not None:  # the rest is what it has caused
        return interrupt if body is None or interrupt_in(body) is None else body
    own = isinstance(body, Exception | BaseExceptionGroup) or body in group.exceptions
    if body is not None and own:  # and no cancellation that the nursery has taken back
        return body
    ordinary = [exc for exc in group.exceptions if isinstance(exc, Exception)]
    return (ordinary or group.exceptions)[0]
