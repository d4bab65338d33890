"""What becomes of a client that uses vuer-trio: under Trio, or under asyncio if that is named."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from situations import Client, show

from vuer_trio import Fifo, Latest, VuerClient, open_vuer_client
from vuer_trio.events import ClientEvent, ServerEvent


class OurClient(Client):
    def __init__(self, client: VuerClient) -> None:
        self.client = client

    async def send(self, etype: str, value: Any) -> None:
        await self.client.send(ClientEvent(etype=etype, value=value))

    def send_nowait(self, etype: str, value: Any) -> str:
        self.client.send @ ClientEvent(etype=etype, value=value)
        return "send @"

    async def recv(self) -> ServerEvent:
        return await self.client.recv()

    async def recv_for(self, seconds: float) -> ServerEvent:
        return await self.client.recv(timeout=seconds)

    def dropped(self) -> str:
        return str(self.client.statistics().dropped)


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[Client]:
    async with open_vuer_client(url, **options) as client:
        yield OurClient(client)


if __name__ == "__main__":
    library = sys.argv[1] if sys.argv[1:] else "trio"
    show(
        library,
        connect,
        cancelled_send=partial(connect, outbox=Fifo(1)),  # so small that a send has to wait
        slow_line=partial(connect, outbox=Latest()),
    )
