"""Accepting byte streams on asyncio."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import anyio
import anyio.abc

from .asyncio_streams import AnyioStream, LoopStream
from .byte_stream import ByteStream
from .tls_stream import TLSStream

__all__ = ["open_accepted", "resolve", "wait_readable", "wrap"]

wait_readable = anyio.wait_readable


async def resolve(host: str | None, port: int) -> list[Any]:
    """The addresses to listen on, as `socket.getaddrinfo` gives them. Raises OSError."""
    return await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )


def wrap(stream: anyio.abc.ByteStream) -> ByteStream:
    """A wire over an open stream."""
    return AnyioStream(stream)


async def open_accepted(sock: socket.socket, context: ssl.SSLContext | None) -> ByteStream:
    """A wire over an accepted socket. Raises OSError. Cancelled: nothing is left open."""
    loop = asyncio.get_running_loop()
    wire = LoopStream()
    await loop.connect_accepted_socket(lambda: wire, sock)
    if context is None:
        return wire
    return await TLSStream.open(wire, context, asyncio.Event, server_side=True)
