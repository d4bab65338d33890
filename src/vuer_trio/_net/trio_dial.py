"""Opening a byte stream on Trio."""

from __future__ import annotations

import socket
import ssl

import trio

from .byte_stream import SocketStream, TrioStream, ByteStream
from .connect_options import ConnectOptions
from .in_memory import open_inside
from .proxy import Proxy, open_tunnel
from .tls_stream import TLSStream

__all__ = ["open_stream"]


async def open_stream(dialing: ConnectOptions) -> ByteStream:
    """A stream to the server. Raises OSError, Rejected. Cancelled: nothing is left open."""
    address, context, proxy = dialing.address, dialing.context, dialing.find_proxy()
    given = dialing.stream if dialing.stream is not None else await open_inside(address.host)
    if given is not None:
        return TrioStream(given)
    if proxy is None:
        wire: ByteStream = await _open_tcp(address.host, address.port)
    else:
        wire = await _open_proxy(proxy)
        try:
            await open_tunnel(wire, address, proxy)
        except BaseException:
            await wire.aclose()
            raise
    if context is None:
        return wire
    name = dialing.server_name
    return await TLSStream.open(wire, context, trio.Event, server_hostname=name)


async def _open_tcp(host: str, port: int) -> SocketStream:
    tcp = await trio.open_tcp_stream(host, port)
    # Trio's socket is taken off its stream: nobody else will read or write it.
    return SocketStream(socket.socket(fileno=tcp.socket.detach()))


async def _open_proxy(proxy: Proxy) -> ByteStream:
    """A stream to a proxy. Raises ProxyFailed. Cancelled: nothing is left open."""
    try:
        wire = await _open_tcp(proxy.host, proxy.port)
        if not proxy.secure:
            return wire
        context = ssl.create_default_context()
        return await TLSStream.open(wire, context, trio.Event, server_hostname=proxy.host)
    except OSError as exc:
        raise proxy.failed(exc) from exc
