"""Byte streams of the system, on Trio: one of the two `NetBackend`."""

from __future__ import annotations

import socket
from typing import Any

import trio

from .._trio_event import Event
from .byte_stream import ByteStream
from .layers import layered
from .socket_options import prepare_socket
from .trio_streams import SocketStream, TrioStream

__all__ = [
    "Event",
    "from_accepted",
    "open_tcp",
    "resolve",
    "run_in_thread",
    "wait_readable",
    "wrap",
]

run_in_thread = trio.to_thread.run_sync
wait_readable = trio.lowlevel.wait_readable


async def open_tcp(host: str, port: int) -> ByteStream:
    """Connect to a host. Raises OSError. Cancelled: nothing is left open."""
    tcp = await trio.open_tcp_stream(host, port)
    # Trio's socket is taken off its stream: nobody else will read or write it.
    sock = socket.socket(fileno=tcp.socket.detach())
    prepare_socket(sock)
    return layered(SocketStream(sock))


async def resolve(host: str | None, port: int) -> list[Any]:
    """The addresses to listen on, as `socket.getaddrinfo` gives them. Raises OSError."""
    return await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )


async def from_accepted(sock: socket.socket) -> ByteStream:
    """A stream over an accepted socket."""
    prepare_socket(sock)
    return layered(SocketStream(sock))


def wrap(stream: trio.abc.Stream) -> ByteStream:
    """A stream of the user's."""
    return layered(TrioStream(stream))
