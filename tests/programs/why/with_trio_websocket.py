"""What becomes of a client that uses trio-websocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from situations import Client, message, show
from trio_websocket import WebSocketConnection, open_websocket_url


class TrioWebsocketClient(Client):
    def __init__(self, ws: WebSocketConnection) -> None:
        self.ws = ws

    async def send(self, etype: str, value: Any) -> None:
        await self.ws.send_message(message(etype, value))

    async def recv(self) -> str | bytes:
        return await self.ws.get_message()


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Client]:
    # the time that leaving waits for the peer is 60 s by default
    async with open_websocket_url(url, disconnect_timeout=3) as ws:
        yield TrioWebsocketClient(ws)


if __name__ == "__main__":
    show("trio", connect)
