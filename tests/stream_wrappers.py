"""Streams on top of others, which do one thing differently."""

from __future__ import annotations

from typing import Any

import trio

__all__ = ["PassthroughStream", "ThrottledStream"]


class PassthroughStream(trio.abc.Stream):
    """Hands everything on as it is."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    async def send_all(self, data: Any) -> None:
        await self.stream.send_all(bytes(data))

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data: bytes = await self.stream.receive_some(max_bytes)
        return data

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        await self.stream.aclose()


class ThrottledStream(PassthroughStream):
    """Its writes can be made slow."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.seconds = 0.0  # that one write takes

    async def send_all(self, data: Any) -> None:
        data = bytes(data)
        await trio.sleep(self.seconds)
        await self.stream.send_all(data)
