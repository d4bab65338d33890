"""The real `vuer.VuerClient`, as its documents use it, against the servers of tests.

It reads lines such as ``ws://localhost:8012 tutorial``, runs that function below, and prints a line
that begins with ``RETURNED``, and what it returned as JSON, or with ``RAISED``.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import traceback
from typing import Any

from vuer import VuerClient
from vuer.events import ClientEvent


class HelloEvent(ClientEvent):
    etype = "HELLO"


class SetPositionEvent(ClientEvent):
    etype = "SET_POSITION"
    value = [0, 0, 0]  # noqa: RUF012 - the documents' form


def event(name: str, value: Any = None) -> ClientEvent:
    return ClientEvent(etype=name, value=value)


def shown(received: Any) -> Any:
    return None if received is None else [received.etype, received.data]


def closing(client: VuerClient) -> list[Any]:
    """How the server closed."""
    return [client._ws.close_code, client._ws.close_reason]


async def tutorial(uri: str) -> Any:
    """Both ways to send, an update for each, the default value of a class."""
    async with VuerClient(uri=uri) as client:
        assert client.connected
        received = [shown(await client.recv(timeout=60))]
        client.send @ HelloEvent(value={"message": "Hi!"})
        received.append(shown(await client.recv(timeout=60)))
        await client.send(SetPositionEvent(value=[1, 0.5, 0]))
        received.append(shown(await client.recv(timeout=60)))
        await client.send(SetPositionEvent())
        received.append(shown(await client.recv(timeout=60)))
        assert await client.recv(timeout=0.05) is None
        assert client.connected
    return received


async def manual(uri: str) -> Any:
    """connect, close, connect again; the URI of the environment."""
    os.environ["VUER_CLIENT_URI"] = uri
    counts = []
    client = VuerClient(uri)
    for _ in range(2):
        await client.connect()
        counts.append(shown(await client.recv(timeout=60)))
        await client.close()
        assert not client.connected
    return counts


async def animation(uri: str) -> Any:
    """The remote control of the documents: a stream of positions, sent and forgotten."""
    async with VuerClient(uri) as client:
        await client.recv(timeout=60)
        for i in range(100):
            t = i * 0.05
            client.send @ SetPositionEvent(value=[math.sin(t) * 2, i, 0])
            await asyncio.sleep(0.001)
        received = [await client.recv(timeout=60) for _ in range(100)]
    return [item.data["nodes"][0]["position"][1] for item in received]


async def scene(uri: str) -> Any:
    """Everything a session changes a scene with, by iteration up to the server's close."""
    async with VuerClient(uri) as client:
        received = [shown(await client.recv(timeout=60))]
        await client.send(event("SCENE"))
        received += [shown(item) async for item in client]
        return [received, closing(client)]


async def large(uri: str) -> Any:
    """60 MB there and back."""
    payload = os.urandom(1 << 20) * 60
    async with VuerClient(uri) as client:
        await client.recv(timeout=60)
        await client.send(event("ECHO", payload))
        answer = await client.recv(timeout=60)
    return [answer.etype, len(answer.data), bytes(answer.data) == payload]


async def too_large(uri: str) -> Any:
    """A message over the server's limit."""
    async with VuerClient(uri) as client:
        await client.recv(timeout=60)
        client.send @ event("ECHO", b"x" * 200_000)
        ended = await client.recv(timeout=5)
        return [shown(ended), closing(client)]


async def closes(uri: str) -> Any:
    """The server closes with the code that it is asked for."""
    codes = []
    for code in (1000, 1001, 1011, 4000):
        async with VuerClient(uri) as client:
            await client.recv(timeout=60)
            await client.send(event("CLOSE", code))
            assert await client.recv(timeout=5) is None
            codes.append(closing(client))
    return codes


async def malformed(uri: str) -> Any:
    """What is no event, sent past the client."""
    async with VuerClient(uri) as client:
        await client.recv(timeout=60)
        await client._ws.send(b"\x82\xa5etype")
        assert await client.recv(timeout=5) is None
        return closing(client)


async def answers(uri: str) -> Any:
    """A request of the server's, answered by hand."""
    async with VuerClient(uri) as client:
        await client.recv(timeout=60)
        await client.send(event("GRAB"))
        request = await client.recv(timeout=60)
        await client.send(event(request.rtype, {"frame": b"\xff\xd8", "key": request.key}))
        return shown(await client.recv(timeout=60))


async def compressed(uri: str) -> Any:
    """It offers compression, which the server declines."""
    async with VuerClient(uri, compression="deflate") as client:
        response = client._ws.response.headers
        first = shown(await client.recv(timeout=60))
        return [response.get("Sec-WebSocket-Extensions"), first is not None]


if __name__ == "__main__":
    for line in sys.stdin:
        uri, name = line.split()
        try:
            result = asyncio.run(globals()[name](uri))
        except Exception:
            print("RAISED", repr(traceback.format_exc()), flush=True)
        else:
            shape = json.dumps(result, default=lambda item: {"bytes": len(item)})
            print("RETURNED", shape, flush=True)
