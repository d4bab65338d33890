"""Accepting byte streams on Trio."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import trio

from .byte_stream import SocketWire, StreamWire, Wire
from .tls_stream import TlsWire

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
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire = SocketWire(sock)
    if context is None:
        return wire
    return await TlsWire.open(wire, context, trio.Event, server_side=True)
