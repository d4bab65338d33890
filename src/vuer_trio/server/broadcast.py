"""Events for all sessions of a server at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from .._home import Home
from .._runtime import Runtime
from .._websocket.transport import Prepared
from ..events import ServerEvent
from .options import ServerOptions
from .verbs import Verbs

if TYPE_CHECKING:
    from .._connection.queue import Waiter
    from .audience import Listener
    from .session import VuerSession

__all__ = ["Audience", "Broadcast"]

#: seconds until `send` yields: at least `_PAUSE`, and for each session `_PAUSE_EACH`, about what
#: its writer needs to write what there is
_PAUSE, _PAUSE_EACH = 0.00025, 0.00005


class Audience(Protocol):
    """A running server, as its broadcasts see it."""

    @property
    def rt(self) -> Runtime: ...

    @property
    def options(self) -> ServerOptions: ...

    @property
    def home(self) -> Home: ...

    @property
    def sessions(self) -> Collection[VuerSession]: ...

    def prepare(self, event: ServerEvent) -> Prepared:
        """Encode and frame a message for the outboxes of all sessions."""


class Broadcast(Verbs):
    """The verbs of a session, for all sessions; each message is encoded and framed once.

    A slow session holds up neither the others nor the caller. One whose outbox is full is skipped:
    it does not get the message, which its `VuerSession.statistics` counts, and which is logged once
    until its outbox is half empty again. ``await broadcast.send(event)`` waits for room first, in
    no session longer than ``stall_timeout``.

    What a session gets before its INIT goes out behind that, or with a message of its own.

    A session that was skipped may show a scene that is out of date. Where that matters, share the
    scene through a `SceneStore`: it raises in a session that cannot keep up, which can then get the
    whole scene.
    """

    def __init__(self, serving: Callable[[], Audience | None]) -> None:
        self._serving = serving  # None while the server is not running
        self._due = 0.0  # when `send` is to yield, on the clock of `perf_counter`

    def __matmul__(self, event: ServerEvent) -> None:
        """``broadcast @ event``: enqueue an event in every session that has room. Raises
        EncodeError.
        """
        self._send(event)

    def _send(self, event: ServerEvent) -> None:
        serving = self._serving()
        if serving is None:
            return
        serving.home.check()
        self._offer(serving, serving.prepare(event))

    def from_thread(self, event: ServerEvent) -> None:
        """``broadcast @ event`` from any thread. The event is encoded in the calling thread."""
        serving = self._serving()
        if serving is None:
            return
        serving.home.call(partial(self._offer, serving, serving.prepare(event)))

    def _offer(self, serving: Audience, message: Prepared) -> None:
        for session in serving.sessions:
            listener = session._listener
            if not listener.offer(message):
                listener.skip()
            elif listener.lags:
                listener.catch_up()

    async def send(self, event: ServerEvent) -> None:
        """Enqueue an event in every session, and wait until all of them have had room for it.

        It is enqueued at once where there is room, and elsewhere behind everything else: every
        session gets the events of all callers in the order of the calls. A session that has no room
        within ``stall_timeout`` is skipped, and is not waited for again until its outbox is half
        empty. A session that ends meanwhile is left out.

        This yields to other tasks every 0.25 ms, or every 50 µs times the number of sessions if
        that is longer. Raises EncodeError. If cancelled, the sessions that had room have got the
        event, and the others will not get it.
        """
        serving = self._serving()
        if serving is None:
            return
        serving.home.check_loop()
        message = serving.prepare(event)
        if perf_counter() < self._due:
            await serving.rt.checkpoint_if_cancelled()
        else:
            await serving.rt.checkpoint()
            self._due = perf_counter() + max(_PAUSE, len(serving.sessions) * _PAUSE_EACH)
        waiting = []
        for session in serving.sessions:
            listener = session._listener
            if not listener.offer(message):
                waiter = listener.offer_later(message)
                if waiter is not None:
                    waiting.append((listener, waiter))
            elif listener.lags:
                listener.catch_up()
        if waiting:
            await self._wait(serving, waiting)

    async def _wait(self, serving: Audience, waiting: Sequence[tuple[Listener, Waiter]]) -> None:
        late = False
        try:
            with serving.rt.move_on_after(serving.options.stall_timeout):
                for _, waiter in waiting:
                    await waiter.event.wait()
                return
            late = True
        finally:
            for listener, waiter in waiting:
                if listener.withdraw(waiter) and late:
                    listener.skip()
