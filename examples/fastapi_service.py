"""An asyncio web service that forwards events to a Vuer server, and its events to WebSockets.

    python examples/hello_server.py       # in one terminal
    python examples/fastapi_service.py    # in another
    curl localhost:8000/events/MOVE_BOX --json '{"position": [1, 0.5, 0]}'

ws://localhost:8000/events is a WebSocket with the server's events as JSON. The Vuer server is at
ws://localhost:8012 or VUER_CLIENT_URI; PORT is the port of this service.
"""

import os
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import anyio
import uvicorn
from fastapi import Body, FastAPI, HTTPException, WebSocket, WebSocketDisconnect

from vuer_trio import Backoff, VuerError, open_vuer_client
from vuer_trio.events import ClientEvent


@asynccontextmanager
async def lifespan(service):
    """One connection for all requests, which reconnects when it is lost."""
    async with open_vuer_client(reconnect=Backoff(first=True)) as client:
        service.state.vuer = client
        yield


service = FastAPI(lifespan=lifespan)


@service.post("/events/{etype}", status_code=202)
async def send(etype: str, value: Annotated[Any, Body()]):
    try:
        service.state.vuer.send @ ClientEvent(etype=etype, value=value)
    except VuerError as error:
        raise HTTPException(503, str(error)) from error


@service.websocket("/events")
async def listen(listener: WebSocket):
    await listener.accept()
    async with open_vuer_client() as client, anyio.create_task_group() as tasks:
        tasks.start_soon(forward, client, listener)
        while (await listener.receive())["type"] != "websocket.disconnect":
            pass
        tasks.cancel_scope.cancel()


async def forward(client, listener):
    with suppress(WebSocketDisconnect):
        async for event in client:
            await listener.send_json({"etype": event.etype, "data": event.data})


if __name__ == "__main__":
    uvicorn.run(service, port=int(os.environ.get("PORT", "8000")), ws="websockets-sansio")
