"""Byte streams of the system, on Trio: one of the two `NetBackend`."""

from __future__ import annotations

import socket
from typing import Any

import trio

from .byte_stream import ByteStream, SocketStream, TrioStream

__all__ = ["Event", "from_accepted", "open_tcp", "resolve", "wait_readable", "wrap"]

Event = trio.Event
wait_readable = trio.lowlevel.wait_readable


async def open_tcp(host: str, port: int) -> ByteStream:
    """Connect to a host. Raises OSError. Cancelled: nothing is left open."""
    tcp = await trio.open_tcp_stream(host, port)
    # Trio's socket is taken off its stream: nobody else will read or write it.
    return SocketStream(socket.socket(fileno=tcp.socket.detach()))


async def resolve(host: str | None, port: int) -> list[Any]:
    """The addresses to listen on, as `socket.getaddrinfo` gives them. Raises OSError."""
    return await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )


async def from_accepted(sock: socket.socket) -> ByteStream:
    """A stream over an accepted socket."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return SocketStream(sock)


def wrap(stream: trio.abc.Stream) -> ByteStream:
    """A stream of the user's."""
    return TrioStream(stream)
