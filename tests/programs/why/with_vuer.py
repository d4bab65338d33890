"""What becomes of a client that uses VuerClient of the package vuer, under asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from situations import Client, show
from vuer import VuerClient
from vuer.events import ClientEvent


class ReferenceClient(Client):
    def __init__(self, client: VuerClient) -> None:
        self.client = client

    async def send(self, etype: str, value: Any) -> None:
        await self.client.send(ClientEvent(etype=etype, value=value))

    def send_nowait(self, etype: str, value: Any) -> str:
        self.client.send @ ClientEvent(etype=etype, value=value)
        return "send @"

    async def recv(self) -> Any:
        return await self.client.recv()

    async def recv_for(self, seconds: float) -> Any:
        return await self.client.recv(timeout=seconds)


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Client]:
    async with VuerClient(url) as client:
        yield ReferenceClient(client)


if __name__ == "__main__":
    show("asyncio", connect)
