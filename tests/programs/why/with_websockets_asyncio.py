"""What becomes of a client that uses websockets under asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from situations import Client, message, show
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket


class WebsocketsClient(Client):
    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws

    async def send(self, etype: str, value: Any) -> None:
        await self.ws.send(message(etype, value))

    async def recv(self) -> str | bytes:
        return await self.ws.recv()


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Client]:
    # the time that leaving waits for the peer is 10 s by default
    async with open_websocket(url, close_timeout=3) as ws:
        yield WebsocketsClient(ws)


if __name__ == "__main__":
    show("asyncio", connect)
