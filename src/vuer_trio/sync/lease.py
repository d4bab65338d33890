"""A lease for code that cannot be cancelled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread, current_thread
from typing import Any, Self

import trio

from .._connection.freshness import Lease
from .._errors import ClientClosed, Stale, renew
from .._interrupts import call_unprotected
from .portal import Portal

__all__ = ["BlockingLease"]


class BlockingLease:
    """``with client.lease(etype, max_age=...) as lease:``, for code that cannot be cancelled.

    Like a `Lease`, it lasts as long as events of the type keep arriving. Once it has expired, calls
    on the client that wait (`recv`, `send(event)`, `flush`, iteration) raise Stale in this thread,
    including a call that is already waiting. `check` raises Stale as well, and so does leaving the
    block, unless the block has raised another exception. Other code is not interrupted, so a loop
    that waits for something else should call `check` in each iteration. ``send @ event`` and other
    calls that do not wait still work, for example to report that the robot has stopped.

    It may be entered again after it has been left.
    """

    def __init__(
        self, lease: Lease, open_portal: Callable[[], Portal], held: list[BlockingLease]
    ) -> None:
        self.etype: str = lease.etype
        #: seconds
        self.max_age: float = lease.max_age
        self._lease = lease
        self._open_portal = open_portal
        self._held = held  # the leases of the client that are entered
        self._portal: Portal | None = None  # while it is entered
        self._thread: Thread | None = None
        self._left: trio.Event | None = None
        self._over: trio.Event | None = None
        self._error: Stale | None = None
        self._scopes: set[trio.CancelScope] = set()  # of calls that wait

    @property
    def expired(self) -> bool:
        """Whether the lease has expired."""
        return self._error is not None

    def check(self) -> None:
        """Raise Stale if the lease has expired."""
        if self._error is not None:
            raise renew(self._error)

    def __enter__(self) -> Self:
        if self._portal is not None:
            raise RuntimeError(f"{self!r} is in use already; take another one")
        portal = self._open_portal()
        self._error = None
        try:
            portal.call(self._begin, portal)
        except BaseException:
            portal.soon(self._leave)
            raise
        self._portal, self._thread = portal, current_thread()
        self._held.append(self)
        return self

    def __exit__(self, kind: Any, exc: BaseException | None, trace: Any) -> None:
        portal, self._portal = self._portal, None
        assert portal is not None
        self._held.remove(self)
        if not portal.forked:
            with suppress(ClientClosed):  # with which it has ended
                portal.call(self._leave_and_wait)
        if exc is None:
            self.check()

    def binds(self, thread: Thread) -> bool:
        """Whether calls that wait in this thread end when the lease expires."""
        return self._thread is thread

    # ---- in the loop

    def _begin(self, portal: Portal) -> None:
        self._left, self._over = trio.Event(), trio.Event()
        portal.start(self._hold, self._left, self._over)

    def _leave(self) -> None:
        if self._left is not None:
            self._left.set()

    async def _leave_and_wait(self) -> None:
        assert self._left is not None
        assert self._over is not None
        self._left.set()
        await self._over.wait()

    async def _hold(self, left: trio.Event, over: trio.Event) -> None:
        try:
            with self._lease:
                await left.wait()
        except Stale as error:
            self._error = error
            for scope in self._scopes:
                scope.cancel()
        finally:
            over.set()

    async def limit(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call ``fn``, sync or async, for as long as it holds."""
        if self._error is None:
            with trio.CancelScope() as scope:
                self._scopes.add(scope)
                try:
                    return await call_unprotected(fn, *args)
                finally:
                    self._scopes.discard(scope)
        self.check()

    def __repr__(self) -> str:
        return repr(self._lease)
