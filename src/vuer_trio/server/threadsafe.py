"""A session's and an app's calls for other threads than the loop's."""

from __future__ import annotations

from collections.abc import Callable

from .._client.threadsafe import ThreadsafeSender
from .._connection.sender import Sender
from ..events import ServerEvent
from .verbs import Verbs

__all__ = ["ThreadsafeApp", "ThreadsafeSession", "ThreadsafeVerbs"]


class ThreadsafeVerbs(Verbs):
    """The verbs, and ``@ event``, from any thread.

    Events are encoded in the calling thread, which then waits until the loop has taken them.
    Raises what the same raises in the loop. A loop that waits for the calling thread waits for
    ever.
    """

    def __init__(self, send: Callable[[ServerEvent], None]) -> None:
        self._from_thread = send

    def _send(self, event: ServerEvent) -> None:
        self._from_thread(event)

    def __matmul__(self, event: ServerEvent) -> None:
        """Enqueue an event now."""
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
