"""Accepting byte streams on Trio."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import trio

from .byte_stream import SocketStream, TrioStream, ByteStream
from .tls_stream import TLSStream

__all__ = ["open_accepted", "resolve", "wait_readable", "wrap"]

wait_readable = trio.lowlevel.wait_readable


async def resolve(host: str | None, port: int) -> list[Any]:
    """The addresses to listen on, as `socket.getaddrinfo` gives them. Raises OSError."""
    return await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )


def wrap(stream: trio.abc.Stream) -> ByteStream:
    """A wire over an open stream."""
    return TrioStream(stream)


async def open_accepted(sock: socket.socket, context: ssl.SSLContext | None) -> ByteStream:
    """A wire over an accepted socket. Raises OSError. Cancelled: nothing is left open."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire = SocketStream(sock)
    if context is None:
        return wire
    return await TLSStream.open(wire, context, trio.Event, server_side=True)
