"""Opening a byte stream on Trio."""

from __future__ import annotations

import socket
import ssl

import trio

from .dialing import Dialing
from .inside import open_inside
from .proxy import open_tunnel, parse_proxy
from .wire import SocketWire, StreamWire, Wire

__all__ = ["open_wire"]


async def open_wire(dialing: Dialing) -> Wire:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = dialing.address, dialing.context, dialing.proxy_url
    given = dialing.stream if dialing.stream is not None else await open_inside(address.host)
    if given is not None:
        return StreamWire(given)
    if proxy is None and context is None:
        tcp = await trio.open_tcp_stream(address.host, address.port)
        # Trio's socket is taken off its stream: nobody else will read or write it.
        return SocketWire(socket.socket(fileno=tcp.socket.detach()))
    stream: trio.abc.Stream
    if proxy is None:
        stream = await trio.open_tcp_stream(address.host, address.port)
    else:
        to_proxy_tls, host, port, authorization = parse_proxy(proxy)
        stream = await trio.open_tcp_stream(host, port)
        if to_proxy_tls:
            stream = trio.SSLStream(stream, ssl.create_default_context(), server_hostname=host)
    wire = StreamWire(stream)
    try:
        if proxy is not None:
            await open_tunnel(wire, address, authorization)
        if context is not None:
            secure = trio.SSLStream(
                stream, context, server_hostname=dialing.server_name, https_compatible=True
            )
            wire = StreamWire(secure)
            await wire.do_handshake()
    except BaseException:
        await wire.aclose()
        raise
    return wire
