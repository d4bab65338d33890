"""aiortc's loop, in a thread of its own.

aiortc is written for asyncio, so under Trio it needs a loop of its own. It has a thread under
asyncio, too, because it runs Python code for each packet of each viewer, which would delay the
server's loop, and so all sessions, by milliseconds a frame. In this way both are served alike, and
uvloop, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from .._home import Forkable
from .._interrupts import protected_methods
from .._runtime import Runtime
from .viewer import MediaThreadEnded

if TYPE_CHECKING:
    from .._async_types import AsyncEvent
    from .peers import Peers

__all__ = ["MediaThread"]

T = TypeVar("T")

log: logging.Logger = logging.getLogger("vuer_trio.webrtc")

#: seconds for the connections to close and the encoders to end their frames, before the thread is
#: left to itself
_PATIENCE = 5.0
#: seconds from the thread's last step to its end
_LAST_STEP = 1.0


@protected_methods
class MediaThread(Forkable):
    """Started by the first `call`, ended by `aclose`. Belongs to the loop that made it."""

    def __init__(self, rt: Runtime) -> None:
        super().__init__()
        self._rt = rt
        self._soon = rt.loop_caller()
        self._ready = rt.Event()  # or ended
        self._ended = rt.Event()
        self._calls: set[AsyncEvent] = set()
        self._thread: Thread | None = None
        self._stopping = False
        # of the thread
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._peers: Peers | None = None

    # ---- in the loop that made it

    async def call(self, fn: Callable[[Peers], Coroutine[Any, Any, T]]) -> T:
        """Run ``await fn(peers)`` there. Raises what it raises, and MediaThreadEnded.

        Cancelled: so is the call, without waiting for its end.
        """
        if self._thread is None and not self._stopping:
            self._thread = Thread(target=self._run, name="vuer-trio webrtc", daemon=True)
            self._thread.start()
        await self._ready.wait()
        loop, peers = self._loop, self._peers
        if loop is None or peers is None or self._stopping:
            raise MediaThreadEnded
        done = self._rt.Event()
        self._calls.add(done)
        try:
            work = fn(peers)
            try:
                answer: Future[T] = asyncio.run_coroutine_threadsafe(work, loop)
            except RuntimeError:  # it has just ended
                work.close()
                raise MediaThreadEnded from None
            answer.add_done_callback(lambda _: self._tell(done.set))
            try:
                await done.wait()
            finally:
                answer.cancel()
            if answer.cancelled():
                raise MediaThreadEnded
            return answer.result()
        finally:
            self._calls.discard(done)

    def soon(self, fn: Callable[[Peers], object]) -> None:
        """Call a sync function there, unless it has ended."""
        loop, peers = self._loop, self._peers
        if loop is not None and peers is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(fn, peers)

    async def aclose(self) -> None:
        """End the connections, the encoders, the loop and the thread.

        Shielded for a few seconds; what is still running then is abandoned, and logged.
        """
        self._stopping = True
        if self._thread is None or self.forked:
            return
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        deadline = self._rt.current_time() + _PATIENCE
        with self._rt.CancelScope(shield=True, deadline=deadline):
            await self._ended.wait()
            self._thread.join(_LAST_STEP)
            return
        log.warning("the thread of the WebRTC streams has not ended within %g s", _PATIENCE)

    def _after(self) -> None:
        """The thread's loop has ended."""
        self._ended.set()
        self._ready.set()
        for done in self._calls:
            done.set()

    # ---- in the thread

    def _run(self) -> None:
        try:
            # whatever the policy of the program is: other loops have been seen to lack what
            # aiortc needs of datagrams
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve())
        except BaseException:
            log.exception("the thread of the WebRTC streams failed")
        finally:
            self._tell(self._after)

    async def _serve(self) -> None:
        from .peers import Peers  # aiortc, which takes a second to import

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_complain)
        loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="vuer-trio encoder"))
        stop = self._stop = asyncio.Event()
        peers = self._peers = Peers()
        self._loop = loop
        if self._stopping:  # meanwhile
            return
        self._tell(self._ready.set)
        await stop.wait()
        await peers.close()

    def _tell(self, fn: Callable[[], object]) -> None:
        """Have a function called in the loop that made this, if there still is one."""
        with suppress(RuntimeError):
            self._soon(fn)


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Of what aiortc's own tasks raise: those of a connection that is closed while it opens do."""
    log.info("aiortc: %s", context.get("message"), exc_info=context.get("exception"))
