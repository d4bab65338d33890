"""Accepting byte streams on Trio."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import trio

from .wire import SocketWire, StreamWire, Wire

__all__ = ["open_accepted", "resolve", "wait_readable", "wrap"]

wait_readable = trio.lowlevel.wait_readable


async def resolve(host: str | None, port: int) -> list[Any]:
    """The addresses to listen on, as `socket.getaddrinfo` gives them. Raises OSError."""
    return await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )


def wrap(stream: trio.abc.Stream) -> Wire:
    """A wire over an open stream."""
    return StreamWire(stream)


async def open_accepted(sock: socket.socket, context: ssl.SSLContext | None) -> Wire:
    """A wire over an accepted socket. Raises OSError. Cancelled: nothing is left open."""
    if context is None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return SocketWire(sock)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
    secure = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    wire = StreamWire(secure)
    try:
        await wire.do_handshake()
    except BaseException:
        await wire.aclose()
        raise
    return wire
