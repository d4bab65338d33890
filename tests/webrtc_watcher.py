"""Viewers of WebRTC streams that are no browser: aiortc's, in a loop and a thread of their own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio.to_thread

from tests.counted_frames import number_in
from tests.http_post import post

__all__ = ["Watcher", "Watchers", "open_watchers"]

T = TypeVar("T")

#: seconds; a loaded machine may need a tenth of it
_DEADLINE = 120.0


class Watcher:
    """One connection. Its methods run in the loop of `Watchers`."""

    def __init__(self) -> None:
        from aiortc import RTCConfiguration, RTCPeerConnection

        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tracks: asyncio.Queue[Any] = asyncio.Queue()
        self.pc.on("track", self._tracks.put_nowait)
        self._track: Any = None

    async def offer(self, kind: str = "video", audio: str = "recvonly") -> bytes:
        """As the web client makes it."""
        self.pc.addTransceiver(kind, "recvonly")
        self.pc.addTransceiver("audio", audio)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        local = self.pc.localDescription
        return json.dumps({"sdp": local.sdp, "type": local.type}).encode()

    async def connect(self, url: str, *more: Any, **headers: str) -> None:
        from aiortc import RTCSessionDescription

        offer = await self.offer()
        status, _, body = await asyncio.to_thread(post, url, offer, *more, **headers)
        assert status == 200, body
        await self.pc.setRemoteDescription(RTCSessionDescription(**json.loads(body)))
        while self._track is None or self._track.kind != "video":
            self._track = await self._tracks.get()

    async def frame(self) -> Any:
        """The next one, as an array."""
        received = await self._track.recv()
        return received.to_ndarray(format="bgr24")

    async def number(self) -> int:
        """What the next frame shows."""
        return number_in(await self.frame())

    async def number_over(self, number: int) -> int:
        """The first that is more."""
        while (found := await self.number()) <= number:
            pass
        return found


class Watchers:
    """The loop, in its thread."""

    def __init__(self) -> None:
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="watchers")
        self._all: list[Watcher] = []

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there, and wait for its result."""

        async def in_time() -> T:
            async with asyncio.timeout(_DEADLINE):
                return await work

        future = asyncio.run_coroutine_threadsafe(in_time(), self._loop)
        return await anyio.to_thread.run_sync(future.result)

    async def new(self) -> Watcher:
        """One that has not connected."""

        async def make() -> Watcher:
            return Watcher()

        self._all.append(watcher := await self.run(make()))
        return watcher

    async def open(self, url: str, *more: Any, **headers: str) -> Watcher:
        """One that has been answered."""
        watcher = await self.new()
        await self.run(watcher.connect(url, *more, **headers))
        return watcher

    async def close(self) -> None:
        for watcher in self._all:
            await self.run(watcher.pc.close())
        await self.run(_end_tasks())
        await self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await anyio.to_thread.run_sync(self._thread.join)
        self._loop.close()


async def _end_tasks() -> None:
    """aiortc leaves some that would end by themselves later."""
    current = asyncio.current_task()
    await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() if task is not current]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@asynccontextmanager
async def open_watchers() -> AsyncIterator[Watchers]:
    watchers = Watchers()
    watchers._thread.start()
    try:
        yield watchers
    finally:
        with anyio.CancelScope(shield=True):
            await watchers.close()
