"""The calls of sessions and apps that other threads may make."""

from __future__ import annotations

from collections.abc import Callable

from .._client.threadsafe import ThreadsafeSender
from .._connection.sender import Sender
from ..events import ServerEvent
from .verbs import Verbs

__all__ = ["ThreadsafeApp", "ThreadsafeSession", "ThreadsafeVerbs"]


class ThreadsafeVerbs(Verbs):
    """The verbs, and ``@ event``, from any thread.

    Events are encoded in the calling thread, which then waits until the loop has enqueued them.
    Raises what the same call raises in the loop. It deadlocks if the loop waits for the calling
    thread.
    """

    def __init__(self, send: Callable[[ServerEvent], None]) -> None:
        self._from_thread = send

    def _send(self, event: ServerEvent) -> None:
        self._from_thread(event)

    def __matmul__(self, event: ServerEvent) -> None:
        """Enqueue an event."""
        self._from_thread(event)


class ThreadsafeSession(ThreadsafeVerbs):
    """`VuerSession.threadsafe`."""

    def __init__(self, sender: Sender[ServerEvent]) -> None:
        super().__init__(sender.from_thread)
        #: ``send @ event`` and ``send(event)``
        self.send: ThreadsafeSender[ServerEvent] = ThreadsafeSender(sender)

    def send_nowait(self, event: ServerEvent) -> None:
        """The same as ``@ event``."""
        self @ event


class ThreadsafeApp:
    """`Vuer.threadsafe`."""

    def __init__(self, broadcast: Callable[[ServerEvent], None]) -> None:
        #: the verbs of `Vuer.broadcast`, and ``broadcast @ event``
        self.broadcast: ThreadsafeVerbs = ThreadsafeVerbs(broadcast)
