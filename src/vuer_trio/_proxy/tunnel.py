"""Two streams that speak WebSocket with each other: every byte is passed on as it came.

The two ends therefore notice everything about each other: pings and their round trips, fragments,
close codes, and, because nothing is read before the last piece was taken, how slow the other one
is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from .._connection.checkpoints import CheckpointThrottle
from .._connection.observers import Direction, Observers, tell_observers
from .._interrupts import protected_methods
from .._net.byte_stream import ByteStream
from .._nursery import open_plain_nursery
from .._runtime import Runtime
from .._websocket.frames import CLOSE, close_payload, frame, server_frame
from .._websocket.transport import Message
from .exchange import Switched
from .frame_reader import FrameReader

if TYPE_CHECKING:
    from .._async_types import CancelScope

__all__ = ["End", "Tunnel"]

log: logging.Logger = logging.getLogger("vuer_trio.proxy")

#: what a client is told when the server behind is gone; IANA's 1014 is unknown to some clients
LOST_SERVER = (1012, "the server behind the proxy is gone")
_GOING_AWAY = (1001, "the proxy is going away")
#: seconds for the server to close when the client has left, and for goodbyes
_PATIENCE = 1.0
#: bytes that are read along with before others may run: frames may be as small as two
_SLICE = 2048


class End(Enum):
    """Who has ended it."""

    CLIENT = "the client"
    SERVER = "the server"
    PROXY = "the proxy"


@protected_methods
class Tunnel:
    """`run` it once. ``observers`` get the whole messages of both directions, which are the
    server's: what the client sends is "received". ``stall_timeout`` is in seconds: when one side
    takes nothing for that long, both are closed.
    """

    def __init__(
        self,
        rt: Runtime,
        peer: str,
        down: ByteStream,
        up: ByteStream,
        observers: Observers,
        *,
        max_size: int,
        stall_timeout: float,
    ) -> None:
        self._rt = rt
        self._peer = peer
        self._down, self._up = down, up
        self._observers = observers
        self._stall_timeout = stall_timeout
        self._messages: list[Message] = []
        keep = self._messages.append if observers else None
        self._from_client = FrameReader(keep, max_size, masked=True)
        self._from_server = FrameReader(keep, max_size, masked=False)
        self._cut: set[ByteStream] = set()  # streams with an unknown part of a write in them
        self.end: End = End.PROXY

    async def run(self, switched: Switched) -> None:
        """Returns when either side has ended it; only closing both streams is left to do.

        Cancelled: both sides are closed with 1001, unless that would cut a frame.
        """
        try:
            async with open_plain_nursery(self._rt) as nursery:
                nursery.start_soon(self._carry_up, switched.by_client, nursery.cancel_scope)
                nursery.start_soon(self._carry_down, switched.by_server, nursery.cancel_scope)
        finally:
            with self._rt.CancelScope(shield=True, deadline=self._rt.current_time() + _PATIENCE):
                await self._say_goodbye()
            self._tell_of_the_unread()

    async def _carry_up(self, early: bytes, scope: CancelScope) -> None:
        pump = partial(self._pump, self._down, self._up, self._from_client, "received")
        gone = await pump(early)
        if gone is self._up:  # what it has said before is still to be read
            return
        self._ended(End.CLIENT)
        with suppress(OSError), self._rt.move_on_after(_PATIENCE):
            await self._up.send_eof()
            await self._rt.Event().wait()  # for the server to close
        scope.cancel()

    async def _carry_down(self, early: bytes, scope: CancelScope) -> None:
        pump = partial(self._pump, self._up, self._down, self._from_server, "sent")
        gone = await pump(early)
        self._ended(End.SERVER if gone is self._up else End.CLIENT)
        scope.cancel()

    def _ended(self, by: End) -> None:
        """The first one has."""
        if self.end is End.PROXY:
            self.end = by

    async def _pump(
        self,
        source: ByteStream,
        target: ByteStream,
        reader: FrameReader,
        direction: Direction,
        data: bytes,
    ) -> ByteStream:
        """Carry one direction until one of the two is gone; which one."""
        throttle = CheckpointThrottle(self._rt)
        while True:
            if data:
                self._cut.add(target)  # the reader is ahead of what has been written
                for start in range(0, len(data), _SLICE):
                    if start and perf_counter() >= throttle.due:
                        await throttle.turn()
                    reader.feed(data[start : start + _SLICE])
                    self._show(direction)
                try:
                    await self._write(target, data)
                except OSError as exc:
                    log.debug("%s: %s", self._peer, exc)
                    return target
            try:
                data = bytes(await source.receive())
                throttle.restart()
            except OSError as exc:
                log.debug("%s: %s", self._peer, exc)
                data = b""
            if not data:
                return source

    def _show(self, direction: Direction) -> None:
        if self._messages:
            messages: Sequence[Message] = tuple(self._messages)
            self._messages.clear()
            tell_observers(self._observers, direction, messages)

    async def _write(self, stream: ByteStream, data: bytes) -> None:
        self._cut.add(stream)
        with self._rt.move_on_after(self._stall_timeout):
            await stream.send_all(data)
            self._cut.discard(stream)
            return
        side = "client" if stream is self._down else "server"
        log.warning(
            "%s: the %s has taken nothing for %g s: ended", self._peer, side, self._stall_timeout
        )
        raise TimeoutError(f"the {side} takes nothing")

    # ---- the end

    async def _say_goodbye(self) -> None:
        """To whom it has not been said."""
        if self.end is not End.CLIENT and self._may_say(self._down, self._from_server):
            told = LOST_SERVER if self.end is End.SERVER else _GOING_AWAY
            with suppress(OSError):
                await self._down.send_all(server_frame(close_payload(*told), CLOSE))
        if self.end is End.PROXY and self._may_say(self._up, self._from_client):
            with suppress(OSError):
                await self._up.send_all(frame(close_payload(*_GOING_AWAY), CLOSE))
                while await self._up.receive():
                    pass

    def _may_say(self, stream: ByteStream, reader: FrameReader) -> bool:
        return stream not in self._cut and reader.between_frames and not reader.closed

    def _tell_of_the_unread(self) -> None:
        if not self._observers:
            return
        for reader, whose in ((self._from_client, "client"), (self._from_server, "server")):
            if reader.skipped:
                log.warning(
                    "%s: %d messages of the %s were too large to be recorded; see --max-size",
                    self._peer,
                    reader.skipped,
                    whose,
                )
            if reader.broken:
                log.warning(
                    "%s: what the %s sends is no WebSocket: not all of it is recorded",
                    self._peer,
                    whose,
                )
