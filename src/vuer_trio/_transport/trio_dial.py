"""Opening a byte stream on Trio."""

from __future__ import annotations

import socket
import ssl

import trio

from .dialing import Dialing
from .inside import open_inside
from .proxy import open_tunnel, parse_proxy
from .tls_wire import TlsWire
from .wire import SocketWire, StreamWire, Wire

__all__ = ["open_wire"]


async def open_wire(dialing: Dialing) -> Wire:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = dialing.address, dialing.context, dialing.proxy_url
    given = dialing.stream if dialing.stream is not None else await open_inside(address.host)
    if given is not None:
        return StreamWire(given)
    if proxy is None:
        wire: Wire = await _open_tcp(address.host, address.port)
    else:
        to_proxy_tls, host, port, authorization = parse_proxy(proxy)
        wire = await _open_tcp(host, port)
        if to_proxy_tls:
            default = ssl.create_default_context()
            wire = await TlsWire.open(wire, default, trio.Event, server_hostname=host)
        try:
            await open_tunnel(wire, address, authorization)
        except BaseException:
            await wire.aclose()
            raise
    if context is None:
        return wire
    name = dialing.server_name
    return await TlsWire.open(wire, context, trio.Event, server_hostname=name)


async def _open_tcp(host: str, port: int) -> SocketWire:
    tcp = await trio.open_tcp_stream(host, port)
    # Trio's socket is taken off its stream: nobody else will read or write it.
    return SocketWire(socket.socket(fileno=tcp.socket.detach()))
