"""Opening a byte stream on Trio."""

from __future__ import annotations

import socket
import ssl

import trio

from .dialing import Dialing
from .inside import open_inside
from .proxy import Proxy, open_tunnel
from .wire import SocketWire, StreamWire, Wire

__all__ = ["open_wire"]


async def open_wire(dialing: Dialing) -> Wire:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = dialing.address, dialing.context, dialing.find_proxy()
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
        stream = await _open_proxy(proxy)
    wire = StreamWire(stream)
    try:
        if proxy is not None:
            await open_tunnel(wire, address, proxy)
        if context is not None:
            name = dialing.server_hostname or address.host
            secure = trio.SSLStream(stream, context, server_hostname=name, https_compatible=True)
            wire = StreamWire(secure)
            await wire.do_handshake()
    except BaseException:
        await wire.aclose()
        raise
    return wire


async def _open_proxy(proxy: Proxy) -> trio.abc.Stream:
    """A stream to a proxy. Raises ProxyFailed. Cancelled: nothing is left open."""
    try:
        stream = await trio.open_tcp_stream(proxy.host, proxy.port)
        if not proxy.secure:
            return stream
        secure = trio.SSLStream(stream, ssl.create_default_context(), server_hostname=proxy.host)
        wire = StreamWire(secure)
        try:
            await wire.do_handshake()
        except BaseException:
            await wire.aclose()
            raise
        return secure
    except OSError as exc:
        raise proxy.failed(exc) from exc
