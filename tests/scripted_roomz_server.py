"""A scripted Roomz server, right or wrong, on the WebSocket peer; and clients with a session.

    async def script(conn):
        await room(conn)                      # as the real one, up to the CONNECT reply
        assert await conn.recv() == '421["message",...]'

`http_answers` are what plain GET requests get, by path.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from tests.memory_network import Network
from tests.scripted_server import PeerConnection, Script, encode_frame
from vuer_trio.roomz import AsyncClient, socket
from vuer_trio.roomz.cache import SessionCache

USER = {"id": "user:alice@example.com", "email": "alice@example.com", "display_name": None}
OPEN = {"sid": "s", "upgrades": [], "pingTimeout": 20000, "pingInterval": 25000}
OPEN["maxPayload"] = 1_000_000
AUTHENTICATED = f'42["authenticated",{json.dumps({"user": USER, "channel": "c"})}]'
CONNECTED = '40{"sid":"t"}'
#: the address of every server of `memory_network`
MEMORY = "http://memory.test"


async def enter(conn: PeerConnection, **terms: Any) -> None:
    """Let the client in, as the real server does: ``authenticated`` first."""
    await conn.accept()
    await conn.send_text("0" + json.dumps({**OPEN, **terms}))
    if (packet := await conn.recv()) is None:
        raise anyio.BrokenResourceError("the client left before it asked to be let in")
    assert packet == "40"
    await conn.send_text(AUTHENTICATED)
    await conn.send_text(CONNECTED)


def message(content: str) -> str:
    return "42" + json.dumps(["message", {"id": "m", "user": USER, "content": content}])


async def send_at_once(conn: PeerConnection, *packets: str) -> None:
    """All in one segment."""
    await conn.send_raw(b"".join(encode_frame(1, packet.encode()) for packet in packets))


def ack_of(packet: bytes | str | None, reply: Any) -> str:
    """The acknowledgement of an event that the client sent."""
    assert isinstance(packet, str)
    assert packet.startswith("42")
    number = packet[2 : packet.index("[")]
    return f"43{number}{json.dumps([reply])}"


def with_http(script: Script, answers: Mapping[str, tuple[int, Any]]) -> Script:
    """The script for WebSockets; other requests are answered by path."""

    async def serve(conn: PeerConnection) -> None:
        path = (await conn.wait_request()).path.partition("?")[0]
        if path in answers:
            status, body = answers[path]
            text = json.dumps(body)
            head = (
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
            )
            await conn.send_raw((head + text).encode())
            await conn.end_tcp()
        else:
            await script(conn)

    return serve


def client_of(url: str, folder: Path, **options: Any) -> AsyncClient:
    """A client that has a session there already."""
    path = folder / "session.json"
    client = AsyncClient(url, session_cache_file=path, **options)
    SessionCache(path).save(client._settings.server.key, "a-session")
    return client


@asynccontextmanager
async def memory_network(*plans: Any) -> AsyncIterator[Network]:
    """In the block every WebSocket is dialled into it, on Trio; see `Network`."""
    with pytest.MonkeyPatch.context() as patch, trio.fail_after(100_000):
        async with trio.open_nursery() as nursery:
            net = Network(nursery, plans)
            dial_now = socket.dial

            async def dial(rt: Any, dialing: Any, link: Any, nursery: Any) -> Any:
                return await net.dial(partial(dial_now, rt), dialing, link, nursery)

            patch.setattr(socket, "dial", dial)
            yield net
            nursery.cancel_scope.cancel()
