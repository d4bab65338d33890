"""What becomes of a client that uses httpx-ws, under Trio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from httpx_ws import AsyncWebSocketSession, aconnect_ws
from situations import Client, message, show


class HttpxClient(Client):
    def __init__(self, ws: AsyncWebSocketSession) -> None:
        self.ws = ws

    async def send(self, etype: str, value: Any) -> None:
        await self.ws.send_bytes(message(etype, value))

    async def recv(self) -> bytes:
        return await self.ws.receive_bytes()


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Client]:
    async with aconnect_ws(url.replace("ws:", "http:")) as ws:
        yield HttpxClient(ws)


if __name__ == "__main__":
    show("trio", connect)
