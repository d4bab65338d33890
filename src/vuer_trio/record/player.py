"""Replaying a recording under control: paused, faster, step by step, from any position."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from threading import Event
from time import perf_counter
from typing import Any

from .._connection.checkpoints import CheckpointThrottle
from .._errors import ProtocolError
from .._interrupts import call_unprotected
from .._runtime import Runtime, runtime
from ..events import ServerEvent, canonical
from ..scene import Scene
from .entry import Side
from .recording import Recording
from .replaying import check_speed

__all__ = ["Player"]

#: seconds that are searched for the event before, first those just before
_SEARCHED = (1.0, 10.0, 100.0, math.inf)


class Player:
    """Sends what one side of a recording sent, at the recorded times, until told otherwise.

    ``start`` and ``end`` are in seconds since the first message of the recording; so is
    `position`. A pass sends its first event immediately, as `replay` does. Use ``scene`` when the
    events go to a page: if playing begins elsewhere than at the start, a SET with the scene of that
    moment is sent first.

    All methods but `run` may be called at any time, in any task of the loop.
    """

    def __init__(
        self,
        recording: Recording,
        sender: Side,
        send: Callable[[Any], Awaitable[object] | None],
        *,
        etypes: Collection[str] | None = None,
        start: float = 0.0,
        end: float = math.inf,
        speed: float = 1.0,
        loop: bool = False,
        paused: bool = False,
        scene: bool = False,
    ) -> None:
        check_speed(speed)
        self._recording = recording
        self._script = recording.script(sender, etypes=etypes, start=start, end=end)
        self._etypes = None if etypes is None else frozenset(map(canonical, etypes))
        self._first, self._last = recording._log_times(start, end)
        self._zero = recording._log_times(0, 0)[0]
        self._send = send
        self._loop = loop
        self._scene = scene
        #: events sent; a SET for a scene does not count
        self.sent: int = 0
        # The clock: where it stood at a time of the loop's. It is in nanoseconds of log time.
        self._speed = speed
        self._paused = paused
        self._stood: float = self._first
        self._stood_at = 0.0
        # What was asked for, and has not been done yet.
        self._jump: int | None = None
        self._steps = 0
        self._steps_back = 0
        self._at: int | None = None  # log time of the last event
        self._now: Callable[[], float] | None = None  # while it runs
        self._changed: Any = None

    # ---- control

    @property
    def position(self) -> float:
        """Where it is, in seconds since the first message of the recording."""
        if self._jump is not None:
            return (self._jump - self._zero) / 1e9
        return max(0.0, min(self._clock(), self._last) - self._zero) / 1e9

    @property
    def paused(self) -> bool:
        """Whether it waits to be told to go on."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._set_clock(self._clock())
        self._paused = paused
        self._tell()

    @property
    def speed(self) -> float:
        """A factor: 2 is twice as fast, `math.inf` does not wait."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        check_speed(speed)
        self._set_clock(self._clock())
        self._speed = speed
        self._tell()

    def seek(self, position: float) -> None:
        """Continue at another position, but not before the start or after the end."""
        at = self._zero + round(max(0.0, min(position, 2e10)) * 1e9)
        last = min(self._last, self._recording._outline.chunks[-1].end) if self._has_any else at
        self._jump = min(max(at, self._first), last)
        self._tell()

    def step(self) -> None:
        """Pause, and send the next event."""
        self.paused = True
        self._steps += 1
        self._tell()

    def step_back(self) -> None:
        """Pause, go back to the event before the last one, and send it again."""
        self.paused = True
        self._steps_back += 1
        self._tell()

    @property
    def _has_any(self) -> bool:
        return bool(self._recording._outline.chunks)

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed.set()

    # ---- the clock

    def _clock(self) -> float:
        if self._paused or self._now is None or math.isinf(self._speed):
            return self._stood
        return self._stood + (self._now() - self._stood_at) * self._speed * 1e9

    def _set_clock(self, at: float) -> None:
        self._stood = at
        if self._now is not None:
            self._stood_at = self._now()

    # ---- running

    async def run(self) -> int:
        """Play until the end; returns the number of events sent.

        With ``loop``, it starts over until it is cancelled, or there is nothing to send. Raises
        whatever ``send`` raises. Cancelled: as `replay`.
        """
        rt = runtime()
        self._now = rt.clock()
        self._changed = rt.Event()
        throttle = CheckpointThrottle(rt)
        await throttle.turn()
        self._set_clock(self._stood)
        first, elsewhere = self._first, self._first > self._zero
        sent, anew = self.sent, True
        while True:
            if self._jump is not None or self._steps_back:
                first = await self._jumped(rt)
                sent, anew, elsewhere = self.sent, False, True
            if elsewhere and self._scene:
                scene = await self._in_thread(rt, self._scene_before, first)
                await call_unprotected(self._send, ServerEvent(scene.to_set(), etype="SET"))
            for log_time, event in self._script._paced(first, self._last):
                if event is None:
                    if perf_counter() >= throttle.due:
                        await throttle.turn()
                    continue
                if anew:  # without waiting for it
                    self._set_clock(log_time)
                    anew = False
                if not await self._is_due(log_time, rt, throttle):
                    break
                await call_unprotected(self._send, event)
                self._at = log_time
                self.sent += 1
            else:
                if self._jump is not None or self._steps_back:
                    continue
                if not self._loop or self.sent == sent:
                    return self.sent
                sent, first, anew, elsewhere = self.sent, self._first, True, False

    async def _is_due(self, log_time: int, rt: Runtime, throttle: CheckpointThrottle) -> bool:
        """Wait until an event is due. Returns False if it is no longer the next one."""
        while True:
            if self._jump is not None or self._steps_back:
                return False
            if self._steps:
                self._steps -= 1
                self._set_clock(log_time)
                return True
            wait = math.inf
            if not self._paused:
                wait = (log_time - self._clock()) / 1e9 / self._speed
                if wait <= 0 or math.isinf(self._speed):
                    if math.isinf(self._speed):
                        self._set_clock(log_time)
                    if perf_counter() >= throttle.due:
                        await throttle.turn()
                        continue  # something may have been asked for meanwhile
                    return True
            self._changed = rt.Event()
            with rt.move_on_after(wait):
                await self._changed.wait()
            throttle.restart()

    async def _jumped(self, rt: Runtime) -> int:
        """Do what was asked for. Returns the log time to go on at."""
        if self._steps_back:
            count, self._steps_back = self._steps_back, 0
            self._jump = None
            at = await self._in_thread(rt, self._before, self._at, count)
            self._steps = 1
        else:
            assert self._jump is not None
            at, self._jump = self._jump, None
        self._set_clock(at)
        found: int = at
        return found

    # ---- in a thread, because a recording may be long

    async def _in_thread(self, rt: Runtime, fn: Callable[..., Any], *args: Any) -> Any:
        """Cancelled: the thread ends soon, too."""
        left = Event()
        try:
            return await rt.run_in_thread(partial(fn, *args, left), abandon_on_cancel=True)
        finally:
            left.set()

    def _before(self, at: int | None, count: int, left: Event) -> int:
        """The log time of the event that many before the one at a log time, or the first one's."""
        if at is None:
            return self._first
        found: deque[int] = deque(maxlen=count)
        for seconds in _SEARCHED:
            first = (
                self._first if math.isinf(seconds) else max(self._first, at - int(seconds * 1e9))
            )
            found.clear()
            for log_time, event in self._script._paced(first, at - 1):
                if left.is_set():
                    return self._first
                if event is not None:
                    found.append(log_time)
            if len(found) == count or first == self._first:
                break
        return found[0] if found else self._first

    def _scene_before(self, log_time: int, left: Event) -> Scene:
        """The scene as it was before a log time."""
        scene = Scene()
        for entry in self._recording._entries(0, max(0, log_time - 1)):
            if left.is_set():
                break
            if entry.sender != "server":
                continue
            if self._etypes is not None and canonical(entry.etype) not in self._etypes:
                continue
            try:
                scene.apply(entry.event)
            except ProtocolError:
                continue
        return scene
