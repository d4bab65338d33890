"""Byte streams of the system, on asyncio: one of the two `NetBackend`."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread

from .._asyncio_event import Event
from . import happy_eyeballs
from .asyncio_streams import AnyioStream, LoopStream
from .byte_stream import ByteStream
from .layers import layered

__all__ = [
    "Event",
    "from_accepted",
    "open_tcp",
    "resolve",
    "run_in_thread",
    "wait_readable",
    "wrap",
]

run_in_thread = anyio.to_thread.run_sync
wait_readable = anyio.wait_readable


async def open_tcp(host: str, port: int) -> ByteStream:
    """Connect to a host. Raises OSError. Cancelled: nothing is left open."""
    sock = await happy_eyeballs.open_tcp(host, port)
    try:
        _, stream = await asyncio.get_running_loop().create_connection(LoopStream, sock=sock)
    except BaseException:
        sock.close()
        raise
    return layered(stream)


async def resolve(host: str | None, port: int) -> list[Any]:
    """The addresses to listen on, as `socket.getaddrinfo` gives them. Raises OSError."""
    return await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )


async def from_accepted(sock: socket.socket) -> ByteStream:
    """A stream over an accepted socket."""
    stream = LoopStream()
    await asyncio.get_running_loop().connect_accepted_socket(lambda: stream, sock)
    return layered(stream)


def wrap(stream: anyio.abc.ByteStream) -> ByteStream:
    """A stream of the user's."""
    return layered(AnyioStream(stream))
