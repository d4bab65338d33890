"""A relay that is not ours: it answers as its script says, on one port or on two."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
from anyio.abc import ByteStream

from tests.scripted_server import Peer, PeerConnection, Script

__all__ = ["frame", "old_relay", "relay_script"]


def frame(sender: str | None, to: list[str], payload: Any, **fields: Any) -> str:
    message = {"id": fields.pop("id", None), "from": sender, "to": to, "payload": payload, **fields}
    return json.dumps({name: value for name, value in message.items() if value is not None})


def relay_script(
    *,
    welcome: str | None = None,
    me: str = "me",
    answer: Callable[[dict[str, Any]], list[str]] | None = None,
) -> Script:
    """A scripted relay for one agent: it answers commands as the reference does, and else what
    ``answer(message)`` says."""

    async def script(conn: PeerConnection) -> None:
        await conn.accept()
        if welcome is not None:
            await conn.send_text(welcome)
        subscribed: dict[str, None] = {}
        while (text := await conn.recv()) is not None:
            message = json.loads(text)
            if answer is not None and (replies := answer(message)) is not None:
                for reply in replies:
                    await conn.send_text(reply)
                continue
            if message["to"] != ["relay"]:
                continue
            kind, agents = message["type"], (message["payload"] or {}).get("agents", [])
            if kind == "subscribe":
                subscribed.update(dict.fromkeys(agents))
                reply_type = "subscribed"
            elif kind == "unsubscribe":
                for name in agents:
                    subscribed.pop(name, None)
                reply_type = "unsubscribed"
            else:
                reply_type, agents = "subscriptions", list(subscribed)
            told = {"agents": agents, "count": len(agents)}
            await conn.send_text(frame("relay", [me], told, type=reply_type))

    return script


class _Prefixed(ByteStream):
    """A stream of which the beginning has been read."""

    def __init__(self, stream: ByteStream, head: bytes) -> None:
        self._stream, self._head = stream, head

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return await self._stream.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def old_relay(
    script: Script,
    *,
    refusal: str = "426 Upgrade Required",
    answer: bytes = b'{"agent_id":"me","token":"tok_1"}',
    status: int = 200,
    alone: bool = False,
) -> AsyncIterator[Peer]:
    """A relay on two ports, as the reference is: 426 on the first one, registering on the next.

    With ``alone`` there is no next port. ``peer.requests`` has the first lines of what HTTP was
    asked, with the port's place.
    """
    peer = Peer(script)
    peer.requests = []  # type: ignore[attr-defined]

    async def handle(place: int, stream: ByteStream) -> None:
        head = b""
        async with stream:
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            line = head.split(b"\r\n")[0].decode()
            if place == 0 and line.startswith("GET /arc"):
                await peer._serve(_Prefixed(stream, head))
                return
            sized = re.search(rb"(?i)content-length: (\d+)", head)
            body_size = int(sized[1]) if sized else 0
            while len(head.partition(b"\r\n\r\n")[2]) < body_size:
                head += await stream.receive()
            peer.requests.append((place, line))  # type: ignore[attr-defined]
            if place == 0:
                reply, body = refusal, b"Upgrade Required"
            else:
                reply, body = f"{status} Whatever", answer
            out = f"HTTP/1.1 {reply}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            with suppress(anyio.BrokenResourceError):  # who asked has had enough
                await stream.send(out.encode() + body)

    while True:
        first = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = first.listeners[0].extra(anyio.abc.SocketAttribute.local_port)
        try:
            second = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port + 1)
        except OSError:
            await first.aclose()
        else:
            break
    peer.port, peer.uri = port, f"http://127.0.0.1:{port}"
    if alone:
        await second.aclose()
    async with first, second, anyio.create_task_group() as tasks:
        for place, listener in enumerate((first,) if alone else (first, second)):
            tasks.start_soon(listener.serve, partial(handle, place))
        yield peer
        tasks.cancel_scope.cancel()
